"""Stages that a change of a parameter re-runs, by the declarations of dvc.yaml and by outputs."""

import re

import pytest

from tests.pipeline.declarations import covers, pipeline_stages

STAGES = pipeline_stages()
KNN = {"evaluate_knn", "evaluate_variants", "evaluate_untrained"}
# All settings of the vote, so none of them changes it.
GRID = "evaluate_knn_grid"
FITS = {"train", "train_variants", "evaluate_classifiers"}
OF_THE_HEAD = {"train", "extract_hashes", "build_faiss_index", "evaluate_knn", GRID}
REPORTS = {"summarise", "report"}
# A tuning fits a head of its own, and does so only where it is asked for; checks make nothing, and
# inputs outside the repository are looked at in every run.
ASIDE = {"tune_towers", "check_params", "check_dataset", "identify_input"}

DECLARED_BY = {
    # The report tells the setting of the vote, and the summary puts it beside the best one.
    "knn.K": {*KNN, *REPORTS},
    "knn.hybrid_weight": {*KNN, *REPORTS} - {"evaluate_untrained"},
    "knn.top_n_tags": {*KNN, GRID, "evaluate_classifiers", *REPORTS},
    "knn_grid.K": {GRID},
    "hash.bits": {"train", "train_variants", "search_untrained"},
    "hash.normalize": {"train", "train_variants"},
    "fusion.type": {"train"},
    "fusion.modalities": {"train"},
    "fusion.mlp_dims": FITS,
    # The report names it.
    "loss.objective": {"train", "train_variants", "report"},
    "loss.imbalance": FITS,
    "decomposer.eps": {"train", "train_variants"},
    "training.num_epochs": FITS,
    "optimizer.lr": {"train", "train_variants"},
    "baselines.mlp_lr": {"evaluate_classifiers"},
}
REACHED_BY = {
    "knn.K": {*KNN, *REPORTS},
    "knn.hybrid_weight": {*KNN, *REPORTS} - {"evaluate_untrained"},
    "knn_grid.K": {GRID, *REPORTS},
    "hash.bits": {*OF_THE_HEAD, *KNN, "train_variants", "search_untrained", *REPORTS},
    "fusion.type": {*OF_THE_HEAD, *REPORTS},
    "loss.objective": {*OF_THE_HEAD, "train_variants", "evaluate_variants", *REPORTS},
    "training.num_epochs": {
        *OF_THE_HEAD,
        *("train_variants", "evaluate_variants", "evaluate_classifiers"),
        *REPORTS,
    },
}


def declaring(key: str) -> set[str]:
    return {
        name
        for name, stage in STAGES.items()
        if any(covers(one, key) for one in stage.get("params", []))
    } - ASIDE


def outputs_of(name: str) -> set[str]:
    outs = STAGES[name]["outs"]
    return {out if isinstance(out, str) else next(iter(out)) for out in outs}


def downstream_of(names: set[str]) -> set[str]:
    """These stages, and all that read what they write."""
    reached = set(names)
    for name, stage in STAGES.items():  # in an order in which they can be run
        made = set().union(*(outputs_of(one) for one in reached))
        if made & set(stage["deps"]):
            reached.add(name)
    return reached


@pytest.mark.parametrize("key", DECLARED_BY)
def test_a_parameter_is_declared_by_the_stages_that_it_can_change(key: str) -> None:
    assert declaring(key) == DECLARED_BY[key]


@pytest.mark.parametrize("key", REACHED_BY)
def test_a_parameter_reaches_no_more_than_it_can_change(key: str) -> None:
    assert downstream_of(declaring(key)) == REACHED_BY[key]


def test_features_reach_everything_behind_them() -> None:
    behind = {*OF_THE_HEAD, *KNN, *FITS, "search_untrained", *REPORTS}
    assert downstream_of({"embed"}) == {"embed", *behind}


def test_every_row_of_the_table_has_its_own_figures() -> None:
    made = {name for name in STAGES if re.match("evaluate_", name)}
    read = set(STAGES["summarise"]["deps"])
    for name in made:
        assert outputs_of(name) & read, name
