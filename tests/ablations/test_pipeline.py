"""Which stages an experiment runs."""

from siglip2_multimodal_hash.ablations.pipeline import stages_run
from tests.pipeline.declarations import pipeline_stages

SUMMARISE = {"deps": ["code.py", "out/figures.json", "plots"], "outs": [{"m": {"cache": False}}]}


def test_an_experiment_runs_everything_but_the_report():
    stages = pipeline_stages()
    assert stages_run(stages) == stages.keys() - {"report", "identify_input"}


def test_stages_are_found_by_their_outputs_however_far_up():
    stages = {
        "report": {"deps": ["m"], "outs": ["page.html"]},
        "summarise": SUMMARISE,
        "evaluate": {"deps": ["weights"], "outs": ["out"]},
        "plot": {"outs": [{"plots": {"cache": False}}]},
        "train": {"outs": ["weights"]},
        "other": {"outs": ["out/figures"]},
    }
    assert stages_run(stages) == {"summarise", "evaluate", "plot", "train"}


def test_a_pipeline_of_another_make_counts_whole():
    assert stages_run({"a": {}, "b": {"deps": ["c"]}}) == {"a", "b"}
