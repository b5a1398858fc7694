"""Names of experiments: legible, and each setting once."""

from pathlib import Path

import pytest

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.experiments.plan import BASELINES, Plan
from siglip2_multimodal_hash.experiments.rows import load_rows
from tests.experiments.test_rows import BASE, GOOD, PLAN, ROWS

LEAN = dict.fromkeys(BASELINES, False)


def names(*rows: str, seeds: int | None = 1) -> list[str]:
    return [one.name for one in PLAN.experiments(PLAN.select(rows), seeds)]


def test_names_and_seeds() -> None:
    assert names("A2", seeds=2) == [
        "A2-bits-none-s0",
        "A2-bits-32-s0",
        "default-s0",
        "A2-bits-128-s0",
        "A2-bits-none-s1",
        "A2-bits-32-s1",
        "default-s1",
        "A2-bits-128-s1",
    ]


def test_names_say_what_is_not_the_committed_dataset_or_backbone() -> None:
    def default(**sections: dict[str, str | list[str]]) -> str:
        base = BASE | {key: BASE[key] | changed for key, changed in sections.items()}
        plan = Plan(ROWS, base)
        return plan.experiment("A2", ROWS["A2"].variant("64"), 0).name

    assert default() == "default-s0"
    found = [
        default(dataset={"protocol": "standard"}),
        default(backbone={"name": "mine..2"}),
        default(
            dataset={"kind": "coco2014", "name": "coco2014"},
            runtime={"coco_root": "/coco", "watch": ["source/coco2014"]},
        ),
    ]
    assert found == [
        "mojicoco-standard-siglip2-tiny-default-s0",
        "mojicoco-karpathy-mine.2-default-s0",
        "coco2014-karpathy-siglip2-tiny-default-s0",
    ]


def test_a_variant_of_another_checkpoint_sets_what_is_watched() -> None:
    runtime = BASE["runtime"] | {"coco_root": "/coco", "watch": ["source/coco2014"]}
    base = BASE | {
        "dataset": BASE["dataset"] | {"kind": "coco2014", "name": "coco2014"},
        "runtime": runtime,
    }
    found = Plan(ROWS, base).experiment("B3-coco", ROWS["B3-coco"].variant("256"), 0)
    weights = "weights/google/siglip2-base-patch16-naflex"
    assert found.overrides["runtime.watch"] == ["source/coco2014", weights]


def test_the_first_seed_is_that_of_params() -> None:
    first, second = (PLAN.experiment("A1", ROWS["A1"].variant("concat"), k) for k in (0, 1))
    assert first.overrides == {"fusion.type": "concat"} | LEAN
    assert second.overrides == {"fusion.type": "concat", "seed": BASE["seed"] + 1} | LEAN


def test_baselines_are_left_out_where_nothing_reads_them(tmp_path: Path) -> None:
    found = {one.name: one.overrides for one in PLAN.experiments(PLAN.select(["all"]), 1)}
    assert not found.pop("default-s0")
    assert all(overrides.items() >= LEAN.items() for overrides in found.values())


@pytest.mark.parametrize(
    ("variant", "kept"),
    [
        ("{hash.bits: 32}", False),
        ("{hash.bits: 32, read: mlp}", False),
        ("{hash.bits: 32, read: itq.knn}", True),
        ("{hash.bits: 32, baselines.untrained: true}", True),
    ],
)
def test_baselines_stay_where_one_is_read_or_they_are_set(
    tmp_path: Path, variant: str, kept: bool
) -> None:
    path = tmp_path / "rows.yaml"
    path.write_text(GOOD.replace("{hash.bits: 32}", variant))
    plan = Plan(load_rows(path), BASE)
    overrides = plan.experiment("A2", plan.rows["A2"].variant("32"), 0).overrides
    assert (not overrides.keys() & set(BASELINES)) is kept


def test_predictors_of_one_run_are_one_experiment() -> None:
    assert names("A3") == ["default-s0"]


def test_a_setting_of_two_rows_is_named_for_the_first_whichever_is_asked_for() -> None:
    assert names("grid-vote") == [
        "grid-vote-k-tau-10-0.03-s0",
        "C1-k-10-s0",
        "grid-vote-k-tau-10-0.15-s0",
        "C4-tau-0.03-s0",
        "default-s0",
        "grid-vote-k-tau-20-0.15-s0",
        "grid-vote-k-tau-50-0.03-s0",
        "C1-k-50-s0",
        "grid-vote-k-tau-50-0.15-s0",
    ]


def test_default_is_what_params_says() -> None:
    plan = Plan(ROWS, BASE | {"hash": BASE["hash"] | {"bits": 128}})
    found = [one.name for one in plan.experiments(["A2"], 1)]
    # The fixed 64 bits of A1 make its last variant the one with 64 bits.
    shared = "A1-fusion-hadamard-magnitude-s0"
    assert found == ["A2-bits-none-s0", "A2-bits-32-s0", shared, "default-s0"]


def test_rows_are_chosen_by_name_tier_or_all() -> None:
    assert PLAN.select(["C1", "A1", "A1"]) == ["A1", "C1"]
    assert PLAN.select(["tier1"]) == ["A1", "A2", "A3"]
    assert PLAN.select(["all"]) == list(PLAN.rows)


def test_rows_without_a_number_of_seeds_have_their_own() -> None:
    found = names("B3", "C2", seeds=None)
    assert [name for name in found if name.startswith("B3")] == [
        f"B3-patches-{patches}-s0" for patches in (32, 64, 128)
    ]
    assert "C2-distance-cosine-s2" in found


@pytest.mark.parametrize(
    ("word", "near"),
    [("a2", "A2"), ("tier4", "tier"), ("objectves", "objectives"), ("al", "all")],
)
def test_a_typo_gets_its_near_matches(word: str, near: str) -> None:
    with pytest.raises(InputError) as caught:
        PLAN.select([word])
    assert f"{word}: no such row or tier" in str(caught.value)
    assert "did you mean" in str(caught.value)
    assert near in str(caught.value)
