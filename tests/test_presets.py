"""Presets write into params.yaml: only the values change, and only to what is allowed."""

import re
from difflib import unified_diff
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides as dvc_writes
from ruamel.yaml import YAML

from siglip2_multimodal_hash.errors import InputError, ParamsError
from siglip2_multimodal_hash.params import load_params, parse_params
from siglip2_multimodal_hash.presets import (
    Preset,
    apply_overrides,
    list_presets,
    load_preset,
    merge_limits,
    merge_presets,
    override_text,
    parse_assignment,
)
from tests.parameters import params_with

ROOT = Path(__file__).resolve().parents[1]
PRESETS = ROOT / "configs" / "presets"
TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
COCO_ROOT = {"runtime.coco_root": "/data/coco"}
OWN_ROOT = {"runtime.dataset_root": "/data/photos"}
ROOTS = {"coco2014": COCO_ROOT, "folder": OWN_ROOT, "coco_json": OWN_ROOT}


@pytest.fixture
def params_file(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_equal_values_leave_every_byte() -> None:
    assert "eps: 1.0e-8\n" in TEXT
    assert override_text(TEXT, {"optimizer.eps": 1e-8}, source="params.yaml") == TEXT


OVERRIDES: dict[str, Any] = {
    "hash.bits": 128,
    "fusion.mlp_dims": [256, 128, 64],
    "optimizer.lr": 2e-3,
    "optimizer.eps": 1e-9,
    "runtime.coco_root": "/data/my coco",
    "backbone.prompt_templates": ["it is a {}", "{}"],
    "runtime.logging.progress": False,
}


@pytest.mark.parametrize("key", OVERRIDES)
def test_the_file_is_written_as_dvc_writes_it(params_file: Path, key: str) -> None:
    text = override_text(TEXT, {key: OVERRIDES[key]}, source="params.yaml")
    dvc_writes(params_file, [f"++{key}={OVERRIDES[key]!r}"])
    assert params_file.read_text(encoding="utf-8") == text


def test_only_the_values_change() -> None:
    text = override_text(TEXT, OVERRIDES, source="params.yaml")
    params = parse_params(YAML(typ="safe", pure=True).load(text))
    for key, value in OVERRIDES.items():
        found: Any = params
        for part in key.split("."):
            found = getattr(found, part)
        assert (list(found) if isinstance(found, tuple) else found) == value, key
    assert text.count("#") == TEXT.count("#")
    removed = list(unified_diff(TEXT.splitlines(), text.splitlines(), n=0))[2:]
    # Two widths, two of three prompts, and one line for each of the other five.
    assert sum(line.startswith("-") for line in removed) == 2 + 2 + 5


NAMES = [path.stem for path in sorted(PRESETS.glob("*.yaml"))]


def used(text: str, *names: str) -> str:
    """The parameters after `smhash use` with each of these presets in turn."""
    for name in names:
        preset = load_preset(name, PRESETS)
        extra = ROOTS.get(name, {})
        values = preset.overrides | extra
        text = override_text(text, values, source="params.yaml", at_most=preset.at_most)
    return text


@pytest.mark.parametrize("name", NAMES)
def test_the_plan_and_back_leaves_every_byte(name: str) -> None:
    """Wherever one starts from: `default` sets what profiles set, and nothing of other presets.

    Not covered by it are hence the keys of a dataset, a backbone and hardware, which another preset
    of that kind sets.
    """
    profile = load_preset(name, PRESETS).kind == "profile"
    start = TEXT if profile else used(TEXT, name)
    assert used(start, "default") == start
    assert used(start, "plan-v2.2") != start
    assert used(start, "plan-v2.2", "default") == start


HOME = {"dataset": "mojicoco", "backbone": "siglip2-tiny", "profile": "default"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (preset.name, preset.kind)
        for preset in list_presets(PRESETS)
        if preset.kind in HOME and preset.name not in ROOTS
    ],
)
def test_the_committed_preset_of_a_kind_goes_back(name: str, kind: str) -> None:
    """Every byte, but the space before a comment that a longer value pushed to the right.

    Not covered are hardware (no preset has the committed `runtime.device: auto`, and a limit on the
    number of patches lowers what was there before) and the folders of datasets, which stay.
    """
    assert re.sub(" +#", " #", used(TEXT, name, HOME[kind])) == re.sub(" +#", " #", TEXT)


@pytest.mark.parametrize("value", ["007", "1e5", "true", "null", "~", "2014-01-01", "a: b"])
def test_a_word_that_looks_like_something_else_stays_a_word(value: str) -> None:
    text = override_text(TEXT, {"backbone.revision": value}, source="params.yaml")
    assert parse_params(YAML(typ="safe", pure=True).load(text)).backbone.revision == value


@pytest.mark.parametrize(
    "key", ["hash.bitz", "bits", "hash.bits.x", "seed.x", "", "hash.", ".bits"]
)
def test_an_unknown_key_is_named(key: str) -> None:
    with pytest.raises(ParamsError) as caught:
        override_text(TEXT, {key: 64}, source="params.yaml")
    assert f"{key} = 64: unknown key" in str(caught.value)


def test_a_whole_section_is_not_replaced() -> None:
    with pytest.raises(ParamsError, match=r"hash = .*: a section.*\n.*hash\.KEY=VALUE"):
        override_text(TEXT, {"hash": {"bits": 64}}, source="params.yaml")


@pytest.mark.parametrize("text", ["hash: [", "a: 1\na: 2\n"])
def test_a_broken_file_is_named(text: str) -> None:
    with pytest.raises(ParamsError, match=r"params\.yaml: not valid YAML"):
        override_text(text, {"seed": 1}, source="params.yaml")


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        ({"hash.bits": 0}, "knn.distance = hamming"),
        ({"hash.bits": 63}, "hash.bits = 63"),
        ({"hash.bits": 128, "seed": -1}, "seed = -1"),
        ({"hash.bits": 128, "hash.bitz": 1}, "hash.bitz = 1: unknown key"),
        ({"dataset.kind": "coco2014", "dataset.name": "coco2014"}, "--coco-root"),
        ({"fusion.mlp_dims": []}, "fusion.mlp_dims = []"),
    ],
)
def test_what_is_not_allowed_leaves_the_file_untouched(
    params_file: Path, overrides: dict[str, Any], part: str
) -> None:
    with pytest.raises(ParamsError) as caught:
        apply_overrides(params_file, overrides)
    assert part in str(caught.value)
    assert params_file.read_text(encoding="utf-8") == TEXT
    assert [path.name for path in params_file.parent.iterdir()] == ["params.yaml"]


def test_the_change_is_shown(params_file: Path) -> None:
    shown = apply_overrides(params_file, {"seed": 7}).splitlines()
    assert shown[0] == f"--- {params_file} (before)"
    assert shown[1] == f"+++ {params_file} (after)"
    assert shown[3:] == ["-seed: 42", "+seed: 7"]
    inode = params_file.stat().st_ino
    assert apply_overrides(params_file, {"seed": 7}) == ""
    assert params_file.stat().st_ino == inode


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"params\.yaml: no such file\n.*root of the project"):
        apply_overrides(tmp_path / "params.yaml", {"seed": 7})


def test_presets_that_agree_are_merged() -> None:
    one = Preset("one", "", {"seed": 1, "hash.bits": 64})
    two = Preset("two", "", {"hash.bits": 64, "knn.K": 5})
    assert merge_presets([one, two]) == {"seed": 1, "hash.bits": 64, "knn.K": 5}


def test_presets_that_clash_are_refused() -> None:
    presets = [load_preset(name, PRESETS) for name in ("cpu", "rtx5080-16gb")]
    with pytest.raises(ParamsError) as caught:
        merge_presets(presets)
    for part in ("backbone.amp_dtype", "'cpu'", "float32", "'rtx5080-16gb'", "bfloat16"):
        assert part in str(caught.value)


def test_an_unknown_preset_lists_those_there_are() -> None:
    with pytest.raises(ParamsError) as caught:
        load_preset("siglip3", PRESETS)
    assert "preset 'siglip3': unknown" in str(caught.value)
    for path in PRESETS.glob("*.yaml"):
        assert path.stem in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[",
        "description: x",
        "overrides: {}",
        "description: x\noverrides: 3",
        "- 1",
        "description: x\noverrides: {}\nat_most: 3",
        "description: x\noverrides: {}\nat_most: {seed: many}",
    ],
)
def test_a_file_that_is_no_preset_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "mine.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ParamsError, match=r"mine\.yaml: needs the keys"):
        load_preset("mine", tmp_path)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("hash.bits=128", ("hash.bits", 128)),
        ("optimizer.lr=1e-3", ("optimizer.lr", 1e-3)),
        ("fusion.mlp_dims=[256, 64]", ("fusion.mlp_dims", [256, 64])),
        ("training.drop_last=false", ("training.drop_last", False)),
        ("backbone.checkpoint=a=b", ("backbone.checkpoint", "a=b")),
        ("backbone.revision='1'", ("backbone.revision", "1")),
        ("seed=", ("seed", None)),
    ],
)
def test_assignments(text: str, pair: tuple[str, Any]) -> None:
    assert parse_assignment(text) == pair


@pytest.mark.parametrize("text", ["hash.bits", "", "=128", "fusion.mlp_dims=[1", "seed={"])
def test_assignments_that_are_none(text: str) -> None:
    with pytest.raises(ParamsError) as caught:
        parse_assignment(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_of_the_repository_applies(params_file: Path, name: str) -> None:
    preset = load_preset(name, PRESETS)
    assert preset.description
    extra: dict[str, str] = ROOTS.get(name, {})
    apply_overrides(params_file, preset.overrides | extra)
    params = load_params(params_file)
    for key, value in preset.overrides.items():
        found: Any = params
        for part in key.split("."):
            found = getattr(found, part)
        assert (list(found) if isinstance(found, tuple) else found) == value
    assert params_file.read_text(encoding="utf-8").count("#") == TEXT.count("#")


def of_kind(kind: str) -> list[Preset]:
    return [preset for preset in list_presets(PRESETS) if preset.kind == kind]


COMBINATIONS = list(product(of_kind("backbone"), of_kind("hardware")))


@pytest.mark.parametrize(
    "presets", COMBINATIONS, ids=["+".join(preset.name for preset in one) for one in COMBINATIONS]
)
def test_dataset_backbone_and_hardware_combine(presets: tuple[Preset, Preset]) -> None:
    named = [load_preset("coco2014", PRESETS), *presets]
    overrides = merge_presets(named) | COCO_ROOT
    assert overrides == merge_presets(named[::-1]) | COCO_ROOT
    params = params_with(overrides, merge_limits(named))
    backbone, hardware = presets
    assert params.dataset.name == "coco2014"
    assert params.backbone.name == backbone.name
    assert params.runtime.device == hardware.overrides["runtime.device"]
    assert params.training.batch_size * params.training.accumulation_steps == 64
    allowed = hardware.at_most.get("backbone.max_num_patches", 4096)
    of_the_backbone = backbone.overrides["backbone.max_num_patches"]
    assert params.backbone.max_num_patches == min(of_the_backbone, allowed)


def test_there_are_presets_of_each_kind() -> None:
    names = {
        kind: {one.name for one in of_kind(kind)} for kind in ("dataset", "hardware", "profile")
    }
    assert names["dataset"] == {"mojicoco", *ROOTS}
    assert names["hardware"] == {"cpu", "h200", "rtx5080-16gb", "rtx5080-16gb-emergency"}
    assert names["profile"] == {"default", "plan-v2.2"}
    assert not of_kind("other")


@pytest.mark.parametrize("kind", ["dataset", "backbone", "hardware", "profile"])
def test_a_preset_undoes_another_of_its_kind(kind: str) -> None:
    assert len({frozenset(preset.overrides) for preset in of_kind(kind)}) == 1


def test_the_presets_of_the_default_change_no_result(params_file: Path) -> None:
    """On the way back from elsewhere, DVC then finds everything up to date."""
    away = [load_preset(name, PRESETS) for name in ("siglip2-base-256", "h200", "plan-v2.2")]
    back = [load_preset(name, PRESETS) for name in ("mojicoco", "siglip2-tiny", "cpu", "default")]
    apply_overrides(params_file, merge_presets(away))
    apply_overrides(params_file, merge_presets(back))
    default, params = load_params(ROOT / "params.yaml"), load_params(params_file)
    assert params.model_copy(update={"runtime": default.runtime}) == default


def test_the_plans_profile_changes_the_profile_alone(params_file: Path) -> None:
    preset = load_preset("plan-v2.2", PRESETS)
    for other in list_presets(PRESETS):
        if other.kind != "profile":
            assert not preset.overrides.keys() & other.overrides.keys()
    shown = apply_overrides(params_file, preset.overrides)
    assert "+  objective: plan" in shown
    params = load_params(params_file)
    assert (params.loss.objective, params.hash.normalize) == ("plan", "none")
    assert params.optimizer.lr == 2e-4


def test_a_limit_lowers_and_never_raises(params_file: Path) -> None:
    limit = {"backbone.max_num_patches": 196}
    for before, after in ((256, 196), (196, 196), (64, 64)):
        apply_overrides(params_file, {"backbone.max_num_patches": before}, limit)
        assert load_params(params_file).backbone.max_num_patches == after


def test_of_two_limits_the_lower_one_counts() -> None:
    one, two = (Preset(str(n), "", {}, {"knn.K": n}) for n in (5, 3))
    assert merge_limits([one, two]) == merge_limits([two, one]) == {"knn.K": 3}


@pytest.mark.parametrize("key", ["hash.bitz", "hash", "bits"])
def test_a_limit_of_what_is_no_parameter_is_refused(key: str) -> None:
    with pytest.raises(ParamsError, match=rf"{key} = 1: (unknown key|a section)"):
        override_text(TEXT, {}, source="params.yaml", at_most={key: 1})


def test_each_backbone_has_a_name_of_its_own() -> None:
    """The name is the folder of its outputs."""
    overrides = [preset.overrides for preset in list_presets(PRESETS)]
    pairs = {
        one["backbone.checkpoint"]: one["backbone.name"]
        for one in overrides
        if "backbone.checkpoint" in one
    }
    assert len(set(pairs.values())) == len(pairs)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (TEXT.replace("\n", "\r\n"), "\r\n"),
        (TEXT, "\n"),
        (TEXT.replace("\n", "\r\n").replace("\r\n", "\n", 1), "\r\n"),
    ],
    ids=["Windows", "Unix", "one line of the other kind"],
)
def test_line_ends_stay(params_file: Path, before: str, after: str) -> None:
    params_file.write_bytes(before.encode())
    change = apply_overrides(params_file, {"hash.bits": 128})
    assert [line[:11] for line in change.splitlines()[3:]] == ["-  bits: 64", "+  bits: 12"]
    expected = override_text(TEXT, {"hash.bits": 128}, source="params.yaml")
    assert params_file.read_bytes() == expected.replace("\n", after).encode()


@pytest.mark.parametrize(
    ("kind", "remedy"), [("link", "kept/params.yaml"), ("read-only", r"chmod u\+w")]
)
def test_a_link_or_a_read_only_file_is_refused(params_file: Path, kind: str, remedy: str) -> None:
    """No output takes the place of one, and a user who protects a file means it."""
    if kind == "link":
        kept = params_file.parent / "kept/params.yaml"
        kept.parent.mkdir()
        params_file.rename(kept)
        params_file.symlink_to(kept)
    else:
        params_file.chmod(0o444)
    with pytest.raises(InputError, match=rf"params\.yaml: .*\n  -> .*{remedy}"):
        apply_overrides(params_file, {"hash.bits": 128})
    assert params_file.read_text(encoding="utf-8") == TEXT
    assert params_file.is_symlink() == (kind == "link")
