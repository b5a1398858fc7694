"""The head of the page: what was evaluated, and the main figures between bounds and baselines."""

import html

from siglip2_multimodal_hash.datasets.split_file import EvaluationSplit
from siglip2_multimodal_hash.reporting.web.inputs import ReportInputs
from siglip2_multimodal_hash.reporting.web.shapes import strip
from siglip2_multimodal_hash.reporting.web.svg import element
from siglip2_multimodal_hash.reporting.web.tables import row_name

SPLITS: tuple[EvaluationSplit, ...] = ("train", "val", "test", "database")
SAID = {
    "knn": "neighbours' vote",
    "mlp": "classifier on the code",
    "hybrid": "vote and classifier",
}


def facts(inputs: ReportInputs) -> str:
    """The dataset, the codes and the vote as a list of terms."""
    dataset, knn = inputs.dataset, inputs.knn
    packed = inputs.codes.packed
    own_database = {*dataset.rows("database")} != {*dataset.rows("train")}
    splits = [
        f"{len(dataset.rows(split)):,} {split}"
        for split in SPLITS
        if split != "database" or own_database
    ]
    tau = f", τ\u00a0{knn.tau:g}" if knn.vote == "softmax" else ""
    items = {
        "images": " · ".join(splits),
        "classes": str(len(dataset.category_names)),
        "codes": "float vectors" if packed is None else f"{8 * packed.shape[1]} bits",
        "vote": f"{knn.K} neighbours by {knn.distance} distance, {knn.vote}{tau}",
    }
    return element(
        "dl",
        "".join(
            element("div", element("dt", name) + element("dd", html.escape(said)))
            for name, said in items.items()
        ),
        class_="facts",
    )


def tiles(inputs: ReportInputs) -> str:
    """The mAP of each predictor and of retrieval, each with what it is to be compared with."""
    own = inputs.baselines["fused"]
    shown = [
        _tile(name, f"tag mAP, {SAID.get(name, name)}", own[name], _tag_marks(inputs, name), name)
        for name in inputs.scores
        if name in own
    ]
    marks = [
        (row_name(name), row["retrieval"])
        for name, row in inputs.baselines.items()
        if "retrieval" in row and name in {"chance", "lsh", "itq", "pq", "float"}
    ]
    shown.append(_tile("retrieval", "mAP@all of the codes", own["retrieval"], marks, "two"))
    return element("div", "".join(shown), class_="tiles")


def _tag_marks(inputs: ReportInputs, name: str) -> list[tuple[str, float]]:
    """Chance, zero-shot, and the MLP on raw embeddings, which no code is expected to beat."""
    rows = inputs.baselines
    marks = [
        ("chance", rows.get("chance", {}).get("knn")),
        ("image only", rows.get("image_only", {}).get(name)),
        ("zero-shot", rows.get("zero_shot", {}).get("zero_shot")),
        (row_name("mlp"), rows.get("mlp", {}).get("mlp")),
        (row_name("logistic_regression"), rows.get("logistic_regression", {}).get("mlp")),
    ]
    return [(said, value) for said, value in marks if value is not None]


def _tile(name: str, said: str, value: float, marks: list[tuple[str, float]], colour: str) -> str:
    marks = sorted(marks, key=lambda mark: mark[1])
    others = "".join(
        element("li", f"{html.escape(mark)} <b>{100 * share:.1f}</b>") for mark, share in marks
    )
    return element(
        "article",
        element("h3", html.escape(name))
        + element("p", f"{100 * value:.1f}<small>%</small>", class_="figure")
        + element("p", html.escape(said), class_="said")
        + strip(value, marks, colour)
        + element("ul", others, class_="marks"),
        class_="tile",
    )
