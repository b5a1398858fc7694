"""The loader of configs/ablations.yaml: strict, and every variant passes params.yaml's rules."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from siglip2_multimodal_hash.errors import InputError, ParamsError
from siglip2_multimodal_hash.experiments.plan import Plan
from siglip2_multimodal_hash.experiments.rows import load_rows
from siglip2_multimodal_hash.params import flatten, read_yaml

ROOT = Path(__file__).resolve().parents[2]
BASE = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())
ROWS = load_rows(ROOT / "configs/ablations.yaml")
PLAN = Plan(ROWS, BASE)
COCO = Plan(
    ROWS,
    BASE
    | {"dataset": BASE["dataset"] | {"kind": "coco2014", "name": "coco2014"}}
    | {"runtime": BASE["runtime"] | {"coco_root": "/coco"}},
)

GOOD = """\
rows:
  A2:
    tier: tier1
    about: bits
    question: How many bits?
    reference: "64"
    seeds: 3
    fixed: {knn.K: 10}
    variants:
      "64": {hash.bits: 64}
      "32": {hash.bits: 32}
"""


def test_the_plans_rows_are_there() -> None:
    expected = {f"A{i}" for i in (1, 2, 3)} | {f"{x}{i}" for x in "BC" for i in (1, 2, 3, 4)}
    assert expected <= set(ROWS)
    assert list(ROWS["methods"].variants_by_name) == [
        "ours-full",
        "direction-only",
        "SigLIP2-MLP",
        "SigLIP2-ZeroShot",
    ]
    assert sum(len(row.variants) for row in ROWS.values() if row.tier == "grid") == 27


@pytest.mark.parametrize("plan", [PLAN, COCO], ids=["mojicoco", "coco2014"])
def test_every_variant_passes_the_rules_of_params(plan: Plan) -> None:
    for name, row in plan.rows.items():
        for variant in row.variants:
            params = flatten(plan.experiment(name, variant, 2).params)
            assert params["seed"] == 44
            for key, value in {**row.fixed, **variant.overrides}.items():
                assert params[key] == value


@pytest.mark.parametrize("row", ["B2", "grid-loss"])
def test_weights_of_the_plans_loss_are_varied_under_it(row: str) -> None:
    preset = read_yaml(ROOT / "configs/presets/plan-v2.2.yaml")["overrides"]
    # Loss, fit and bits as the plan has them; the rest of its start lets the bits collapse.
    sections = ("loss.", "hash.", "training.", "optimizer.", "scheduler.")
    expected = {key: value for key, value in preset.items() if key.startswith(sections)}
    found = flatten(PLAN.experiment(row, ROWS[row].variant(ROWS[row].reference), 0).params)
    assert {key: found[key] for key in expected} == expected


def test_rows_that_are_impossible_here_are_left_out() -> None:
    assert "B3-coco" in PLAN.left_out
    assert "B3" in COCO.left_out
    assert "B3-coco" in COCO.rows
    with pytest.raises(InputError, match=r"row B3-coco: not here: .*coco2014"):
        PLAN.select(["B3-coco"])


def test_a_row_is_left_out_where_its_parameter_does_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "rows.yaml"
    path.write_text(GOOD.replace("    seeds: 3", "    seeds: 3\n    needs: index.new.knob"))
    assert "index.new.knob" in Plan(load_rows(path), BASE).left_out["A2"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    tier:", "    teir:", ("rows.A2.teir", "unknown key", "did you mean `tier`")),
        ("seeds: 3", "seeds: three", ("rows.A2.seeds = 'three'",)),
        ('reference: "64"', 'reference: "65"', ("rows.A2.reference = '65'", "64, 32")),
        ("{hash.bits: 32}", "{knn.K: 32}", ("rows.A2.variants.32.knn.K", "fixed")),
        ("{hash.bits: 32}", "{seed: 1}", ("rows.A2.seed",)),
        ("{hash.bits: 32}", "{read: knm}", ("rows.A2.variants.32.read = 'knm'", "hybrid")),
        ('      "32"', '      "a b"', ("rows.A2.variants.a b", "letters and digits")),
        ("    question: How many bits?\n", "", ("rows.A2.question: missing",)),
        ("    variants:", "    product: {knn.K: [1]}\n    variants:", ("either",)),
        ("rows:", "rows: [", ("not valid YAML",)),
    ],
)
def test_what_is_wrong_in_the_file_is_named(
    tmp_path: Path, old: str, new: str, words: tuple[str, ...]
) -> None:
    assert old in GOOD
    path = tmp_path / "rows.yaml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(ParamsError) as caught:
        load_rows(path)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("{hash.bit: 32}", ("row A2, variant 32", "hash.bit = 32:", "did you mean `hash.bits`")),
        ("{hash: 32}", ("row A2, variant 32", "hash = 32: a section")),
        ("{hash.bits: 33}", ("row A2, variant 32", "hash.bits = 33")),
        ("{hash.bits: 0}", ("row A2, variant 32", "only `cosine`")),
    ],
)
def test_an_override_that_params_refuses_names_row_and_variant(
    tmp_path: Path, override: str, words: tuple[str, ...]
) -> None:
    path = tmp_path / "rows.yaml"
    path.write_text(GOOD.replace("{hash.bits: 32}", override))
    plan = Plan(load_rows(path), BASE)
    with pytest.raises(ParamsError) as caught:
        plan.experiments(["A2"], 1)
    for word in words:
        assert word in str(caught.value)
