"""Parameters: the file of the repository loads, and whatever is wrong is refused by name."""

import copy
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from siglip2_multimodal_hash.errors import ParamsError
from siglip2_multimodal_hash.params import (
    Bits,
    Params,
    Section,
    load_params,
    parse_params,
    read_yaml,
)
from siglip2_multimodal_hash.presets import override_text, parse_assignment

ROOT = Path(__file__).resolve().parents[1]
PARAMS_FILE = ROOT / "params.yaml"
TEXT = PARAMS_FILE.read_text(encoding="utf-8")
RAW: dict[str, Any] = YAML(typ="safe", pure=True).load(TEXT)


def changed(**changes: Any) -> dict[str, Any]:
    """The repository's parameters with some values replaced; `__` stands for the dot."""
    raw = copy.deepcopy(RAW)
    for key, value in changes.items():
        *parents, leaf = key.split("__")
        section = raw
        for parent in parents:
            section = section[parent]
        section[leaf] = value
    return raw


def message(raw: Any) -> str:
    with pytest.raises(ParamsError) as caught:
        parse_params(raw, source="params.yaml")
    return str(caught.value)


def value_at(params: Params, key: str) -> Any:
    found: Any = params
    for part in key.split("."):
        found = getattr(found, part)
    return found


def sections(section: type[Section], prefix: str = "") -> Iterator[tuple[str, type[Section]]]:
    yield prefix, section
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from sections(kind, f"{prefix}{name}.")


def test_the_repository_s_own_file_loads() -> None:
    assert load_params(PARAMS_FILE) == parse_params(RAW)


def test_batch_and_split_are_the_plans() -> None:
    plan = {
        "dataset.protocol": "karpathy",
        "backbone.max_num_patches": 256,
        "training.batch_size": 32,
        "training.accumulation_steps": 2,
    }
    params = load_params(PARAMS_FILE)
    assert {key: value_at(params, key) for key in plan} == plan


def test_no_parameter_has_a_default_in_code() -> None:
    for prefix, section in sections(Params):
        for name, field in section.model_fields.items():
            assert field.is_required(), f"{prefix}{name}"


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        # unknown keys
        ("hash__bitz", 64, ("hash.bitz = 64", "unknown key", "known here: bits")),
        ("hash__64", 64, ("hash.64 = 64", "unknown key")),
        ("colour", "red", ("colour = 'red'", "unknown key", "dataset, backbone")),
        ("runtime__dataloader__workers", 2, ("runtime.dataloader.workers", "num_workers")),
        # types
        ("hash__bits", "64", ("hash.bits = '64'", "0, 16, 32, 64, 128")),
        ("hash__bits", False, ("hash.bits = False", "0, 16, 32, 64, 128")),
        ("hash__bits", 64.0, ("hash.bits = 64.0", "0, 16, 32, 64, 128")),
        ("training__batch_size", True, ("training.batch_size = True", "integer")),
        ("training__batch_size", 32.0, ("training.batch_size = 32.0", "integer")),
        ("training__drop_last", 1, ("training.drop_last = 1", "boolean")),
        ("training__drop_last", "yes", ("training.drop_last = 'yes'", "boolean")),
        ("optimizer__lr", "2e-4", ("optimizer.lr = '2e-4'", "number")),
        ("optimizer__lr", True, ("optimizer.lr = True", "number")),
        ("dataset__kind", None, ("dataset.kind = None", "'mojicoco', 'coco2014'")),
        ("runtime__coco_root", 7, ("runtime.coco_root = 7", "string")),
        ("fusion__mlp_dims", [1024, "512"], ("fusion.mlp_dims.1 = '512'", "integer")),
        ("fusion__mlp_dims", 1024, ("fusion.mlp_dims = 1024", "list")),
        ("backbone__prompt_templates", "a {}", ("backbone.prompt_templates = 'a {}'", "list")),
        ("hash", None, ("hash = None", "section")),
        ("hash", 64, ("hash = 64", "section")),
        ("index__kind", "lsh", ("index.kind = 'lsh'", "'flat', 'ivf', 'hnsw' or 'multihash'")),
        ("index__ivf__lists", 4, ("index.ivf.lists = 4", "known here: nlist, nprobe")),
        # ranges
        ("index__ivf__nlist", -1, ("index.ivf.nlist = -1", "greater than or equal to 0")),
        ("index__hnsw__M", 1, ("index.hnsw.M = 1", "greater than or equal to 2")),
        ("index__hnsw__ef_search", 0, ("index.hnsw.ef_search = 0", "than or equal to 1")),
        ("index__multihash__b", 64, ("index.multihash.b = 64", "less than or equal to 63")),
        ("hash__bits", 48, ("hash.bits = 48", "0, 16, 32, 64 or 128")),
        ("training__batch_size", 0, ("training.batch_size = 0", "greater than or equal to 1")),
        ("seed", -1, ("seed = -1", "greater than or equal to 0")),
        ("fusion__dropout", 1.0, ("fusion.dropout = 1.0", "less than 1")),
        ("fusion__project_dim", -1, ("fusion.project_dim = -1", "greater than or equal to 0")),
        ("backbone__checkpoint", "imported", ("backbone.revision = 'main'", "import-features")),
        ("fusion__mlp_dims", [], ("fusion.mlp_dims = []", "at least one entry")),
        ("fusion__mlp_dims", [512, 0], ("fusion.mlp_dims.1 = 0", "greater than or equal to 1")),
        ("optimizer__lr", 0.0, ("optimizer.lr = 0.0", "greater than 0")),
        ("loss__temperature", 0.0, ("loss.temperature = 0.0", "greater than 0")),
        ("loss__temperature", 1e-30, ("loss.temperature = 1e-30", "at least 0.0001", "overflow")),
        ("optimizer__lr", math.inf, ("optimizer.lr = inf", "finite")),
        ("optimizer__betas", [0.9, 1.0], ("optimizer.betas.1 = 1.0", "less than 1")),
        ("optimizer__betas", [0.9], ("optimizer.betas.1", "missing")),
        ("optimizer__betas", [0.9, 0.99, 0.9], ("optimizer.betas", "at most 2 items")),
        ("loss__focal_alpha", math.nan, ("loss.focal_alpha = nan", "less than 1")),
        ("knn__threshold", math.nan, ("knn.threshold = nan", "less than or equal to 1")),
        ("knn__threshold", 1.5, ("knn.threshold = 1.5", "less than or equal to 1")),
        ("knn__top_n_tags", 81, ("knn.top_n_tags = 81", "less than or equal to 80")),
        ("knn_grid__K", [], ("knn_grid.K = []", "at least one entry")),
        ("knn_grid__K", [5, 2000], ("knn_grid.K.1 = 2000", "less than or equal to 1024")),
        ("knn_grid__K", 5, ("knn_grid.K = 5", "list")),
        ("knn_grid__tau", [0.1, 0.0], ("knn_grid.tau.1 = 0.0", "greater than 0")),
        ("knn_grid__distance", ["euclid"], ("knn_grid.distance.0 = 'euclid'", "'hamming'")),
        ("knn_grid__vote", ["loudest"], ("knn_grid.vote.0 = 'loudest'", "'uniform'")),
        ("knn_grid__hybrid_weight", [1.5], ("knn_grid.hybrid_weight.0 = 1.5", "equal to 1")),
        ("dataset__kind", "coco", ("dataset.kind = 'coco'", "'mojicoco', 'coco2014'")),
        ("backbone__name", "a/b", ("backbone.name = 'a/b'", "pattern")),
        ("backbone__checkpoint", "", ("backbone.checkpoint = ''", "at least 1 character")),
        ("backbone__prompt_templates", [], ("prompt_templates = []", "at least one entry")),
        ("backbone__prompt_templates", ["a photo"], ("backbone.prompt_templates", "'a photo'")),
        ("backbone__prompt_templates", ["{} {}"], ("backbone.prompt_templates", "exactly once")),
    ],
)
def test_what_is_wrong_is_named(key: str, value: Any, parts: tuple[str, ...]) -> None:
    found = message(changed(**{key: value}))
    assert found.startswith("params.yaml: ")
    for part in parts:
        assert part in found
    assert "->" in found


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (
            {"knn__distance": "hybrid", "knn__shortlist": 10, "knn__K": 20},
            ("knn.shortlist = 10", "knn.K = 20"),
        ),
        ({"hash__bits": 0}, ("knn.distance = hamming", "hash.bits = 0", "`cosine`")),
        (
            {"hash__bits": 0, "knn__distance": "asymmetric"},
            ("knn.distance = asymmetric", "hash.bits = 0", "`cosine`"),
        ),
        (
            {"index__ivf__nlist": 8, "index__ivf__nprobe": 9},
            ("index.ivf.nprobe = 9", "nlist = 8"),
        ),
        (
            {"index__multihash__b": 4, "index__multihash__nflip": 5},
            ("index.multihash.nflip = 5", "b = 4"),
        ),
        (
            {"index__kind": "multihash", "index__multihash__b": 16, "index__multihash__nhash": 5},
            ("index.multihash.nhash = 5", "index.multihash.b = 16", "hash.bits = 64"),
        ),
        (
            {"index__kind": "multihash", "index__multihash__nhash": 65},
            ("index.multihash.nhash = 65", "hash.bits = 64"),
        ),
        (
            {"index__kind": "multihash", "hash__bits": 0, "knn__distance": "cosine"},
            ("index.kind = multihash", "hash.bits = 0", "`ivf` or `hnsw`"),
        ),
        (
            {"index__kind": "multihash", "knn__distance": "cosine"},
            ("index.kind = multihash", "knn.distance = cosine", "`flat`"),
        ),
        (
            {"fusion__type": "magnitude", "fusion__project_dim": 4},
            ("fusion.project_dim = 4", "only 0 is possible"),
        ),
        (
            {"scheduler__warmup_epochs": 15},
            ("scheduler.warmup_epochs = 15", "less than training.num_epochs = 15"),
        ),
        ({"scheduler__min_lr": 1e-2}, ("scheduler.min_lr = 0.01", "optimizer.lr = 0.003")),
        ({"scheduler__min_lr": 2e-3}, ("scheduler.min_lr = 0.002", "baselines.mlp_lr = 0.001")),
        (
            {"fusion__modalities": "image"},
            ("fusion.type = hadamard_with_magnitude", "fusion.modalities = image", "`concat`"),
        ),
        (
            {"fusion__modalities": "caption", "fusion__type": "hadamard"},
            ("fusion.type = hadamard", "fusion.modalities = caption", "`concat`"),
        ),
        (
            {"dataset__protocol": "hashnet"},
            ("dataset.protocol = hashnet", "dataset.kind = mojicoco", "`karpathy` or `standard`"),
        ),
        (
            {"runtime__embed__engine": "ray", "runtime__embed__compile": True},
            ("runtime.embed", "compile = True", "runtime.embed.engine = local"),
        ),
        (
            {"dataset__kind": "coco2014", "dataset__name": "coco2014"},
            ("runtime.coco_root = ''", "dataset.kind = coco2014", "--coco-root"),
        ),
        (
            {
                "dataset__kind": "coco2014",
                "dataset__name": "coco2014",
                "runtime__coco_root": "data/coco",
            },
            ("runtime.coco_root = 'data/coco'", "absolute"),
        ),
        (
            {
                "backbone__checkpoint": "imported",
                "backbone__revision": "0" * 64,
                "runtime__features_folder": "features",
            },
            ("runtime.features_folder = 'features'", "absolute", "import-features"),
        ),
        (
            {
                "backbone__checkpoint": "imported",
                "backbone__revision": "0" * 64,
                "backbone__tune": "lora",
                "runtime__features_folder": "/features",
            },
            ("backbone.tune = lora", "backbone.checkpoint = imported", "frozen"),
        ),
        (
            {"backbone__checkpoint": "/my/model"},
            ("runtime.watch = []", '-S "runtime.watch=[weights//my/model]"'),
        ),
        (
            {"runtime__watch": ["weights/models/siglip2-tiny-naflex"]},
            ("runtime.watch = ['weights/models/siglip2-tiny-naflex']", "must be []"),
        ),
    ],
)
def test_impossible_combinations_name_both_sides(
    changes: dict[str, Any], parts: tuple[str, ...]
) -> None:
    found = message(changed(**changes))
    for part in parts:
        assert part in found


@pytest.mark.parametrize(
    "changes",
    [
        {"hash__bits": 0, "knn__distance": "cosine"},
        {"knn__distance": "hybrid", "knn__shortlist": 20},
        {"index__kind": "multihash", "index__multihash__b": 16, "index__multihash__nhash": 4},
        {"index__kind": "ivf", "hash__bits": 0, "knn__distance": "cosine"},
        {"fusion__modalities": "image", "fusion__type": "concat"},
        {
            "dataset__kind": "coco2014",
            "dataset__name": "coco2014",
            "runtime__coco_root": "/data/coco",
            "runtime__watch": ["source/coco2014"],
        },
        {"scheduler__warmup_epochs": 0, "training__num_epochs": 1},
        {"optimizer__lr": 1, "scheduler__min_lr": 0},  # whole numbers are numbers
        {"seed": 2**70},
    ],
)
def test_possible_combinations_pass(changes: dict[str, Any]) -> None:
    parse_params(changed(**changes))


def test_every_broken_rule_is_listed_at_once() -> None:
    raw = changed(hash__bits=7, seed=-1, colour="red")
    del raw["knn"]["K"], raw["fusion"]
    found = message(raw)
    for part in ("hash.bits = 7", "seed = -1", "colour = 'red'", "knn.K: missing", "fusion: miss"):
        assert part in found


@pytest.mark.parametrize("raw", [None, [], "text", 3])
def test_a_file_that_is_no_mapping_is_refused(raw: Any) -> None:
    assert f"the file = {raw!r}: must be a section" in message(raw)


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"params\.yaml: no such file\n.*root of the project"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"hash: [64", "not valid YAML"),
        (b"hash:\n  bits: 64\n  bits: 32\n", "not valid YAML"),
        (b"hash: \xff\xfe", "not valid YAML"),
        (b"", "the file = None"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes, part: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    assert str(path) in str(caught.value)
    assert part in str(caught.value)


@pytest.mark.parametrize(("text", "value"), [("1e-3", 1e-3), ("1E-03", 1e-3), ("2", 2.0)])
def test_numbers_are_those_of_yaml_1_2(tmp_path: Path, text: str, value: float) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace("lr: 3.0e-3", f"lr: {text}"), encoding="utf-8")
    assert load_params(path).optimizer.lr == value


@pytest.mark.parametrize(
    "path", [Path("params.yaml"), *sorted((ROOT / "configs").rglob("*.yaml"))], ids=lambda p: p.stem
)
def test_other_tools_read_the_same_of_the_committed_files(path: Path) -> None:
    """Most of them use PyYAML, to which `1e-3` is a string: 1.0e-3 is a number to both."""
    assert yaml.safe_load((ROOT / path).read_text(encoding="utf-8")) == read_yaml(ROOT / path)


def test_words_of_yaml_1_1_stay_words(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace("drop_last: true", "drop_last: on"), encoding="utf-8")
    with pytest.raises(ParamsError, match=r"training\.drop_last = 'on'"):
        load_params(path)


def test_the_remedy_speaks_of_where_the_value_stands(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace("bits: 64", "bits: 33"), encoding="utf-8")
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    explained = "params.yaml explains each key"
    assert str(caught.value).endswith(f"-> correct {path}, or the -S override; {explained}")
    with pytest.raises(ParamsError, match=rf"^--k: knn\.K = 0.*\n  -> {explained}$"):
        parse_params(changed(knn__K=0), source="--k")


def test_parameters_do_not_change() -> None:
    params = load_params(PARAMS_FILE)
    with pytest.raises(ValidationError, match="frozen"):
        params.hash.bits = 32
    with pytest.raises(ValidationError, match="frozen"):
        params.seed = 1
    assert isinstance(params.fusion.mlp_dims, tuple)


def test_the_widths_of_codes_are_whole_bytes() -> None:
    assert get_origin(Bits) is Literal
    assert all(bits % 8 == 0 for bits in get_args(Bits))


# No more digits than ruamel, and so DVC, keeps of a number with an exponent.
SHORT = st.builds(
    lambda digits, power: float(f"{digits}e{power}"), st.integers(1, 9999), st.integers(-9, -4)
)

VALID: dict[str, st.SearchStrategy[Any]] = {
    "seed": st.integers(0, 2**63),
    "hash.bits": st.sampled_from([16, 32, 64, 128]),
    "knn.K": st.integers(1, 200),
    "knn.tau": SHORT,
    "knn.vote": st.sampled_from(["uniform", "softmax", "rank", "threshold"]),
    "optimizer.lr": SHORT.filter(lambda rate: rate >= 1e-6),  # scheduler.min_lr
    "optimizer.betas": st.lists(SHORT, min_size=2, max_size=2),
    "fusion.mlp_dims": st.lists(st.integers(1, 4096), min_size=1, max_size=4),
    "fusion.dropout": SHORT,
    "training.drop_last": st.booleans(),
    "backbone.checkpoint": st.text(
        st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1
    ),
    "backbone.prompt_templates": st.lists(
        st.text(st.sampled_from("ab :#'\"[],-&*!|>%@`"), max_size=8).map("{{}}{}".format),
        min_size=1,
        max_size=3,
    ),
}


def on_command_line(key: str, value: Any) -> str:
    """`key=value` as a careful user types it: the value in YAML's own words."""
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.width, yaml.default_flow_style = 10_000, True
    yaml.dump({"value": value}, stream)
    text = stream.getvalue().strip().removeprefix("{value: ").removesuffix("}")
    return f"{key}={text}"


@settings(max_examples=12)
@given(st.fixed_dictionaries({}, optional=VALID))
def test_overrides_survive_command_line_and_file(overrides: dict[str, Any]) -> None:
    typed = dict(parse_assignment(on_command_line(*pair)) for pair in overrides.items())
    assert typed == overrides
    text = override_text(TEXT, typed, source="params.yaml")
    params = parse_params(YAML(typ="safe", pure=True).load(text))
    for key, value in overrides.items():
        assert value_at(params, key) == (tuple(value) if isinstance(value, list) else value)
    assert override_text(text, typed, source="params.yaml") == text
