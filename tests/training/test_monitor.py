"""The figure that chooses the epoch: the classifier's, the vote's, both together, or F1."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.evaluation.heads import SplitRows, evaluate_by_search
from siglip2_multimodal_hash.params import PREDICTORS
from siglip2_multimodal_hash.retrieval.codes import binarize
from siglip2_multimodal_hash.retrieval.store import HeadCodes
from siglip2_multimodal_hash.training.inference import encode_dataset
from siglip2_multimodal_hash.training.loop import Checkpoints, FitResult, fit
from siglip2_multimodal_hash.training.monitor import MONITORED, read_vote, vote_figures
from siglip2_multimodal_hash.training.settings import FitSettings
from stages import check_params
from tests.training.small_fits import (
    CAPTIONS,
    checkpointing,
    small_arrays,
    small_head,
    small_params,
    small_settings,
    small_training,
    small_validation,
)

KNN = {"K": 5, "distance": "hamming", "top_n_tags": 3}


def monitored_fit(monitor: str, folder: Path | None = None, **head: Any) -> FitResult:
    settings = small_settings(
        training={"monitor": monitor, "num_epochs": 6, "early_stopping_patience": 6}, knn=KNN
    )
    checkpoints = None if folder is None else Checkpoints(folder, checkpointing(save_top_k=1))
    return fit(small_head(**head), small_training(), small_validation(), settings, checkpoints)


@pytest.mark.parametrize("monitor", list(MONITORED))
def test_the_best_epoch_is_that_of_the_monitored_figure(monitor: Any, tmp_path: Path) -> None:
    result = monitored_fit(monitor, tmp_path / "head", dropout=0.5)
    name = MONITORED[monitor]
    scores = [record[name] for record in result.history]
    assert result.best_epoch == 1 + int(np.argmax(scores))
    assert result.val_map == result.history[result.best_epoch - 1]["val_mAP"]
    summary = json.loads((tmp_path / "head/config.json").read_text())
    assert summary[name] == max(scores)
    (kept,) = (tmp_path / "head").glob("epoch=*")
    assert kept.name == f"epoch={result.best_epoch:02d}-{name}={max(scores):.4f}.safetensors"


def test_the_classifier_alone_needs_no_vote() -> None:
    others = set(MONITORED.values()) - {"val_mAP"}
    assert not others & set(monitored_fit("mlp").history[0])


@pytest.mark.parametrize("policy", ["first", "mean"])
@pytest.mark.parametrize("bits", [16, 0])
def test_the_vote_is_that_of_the_evaluation(bits: int, policy: Any) -> None:
    arrays, knn = small_arrays(48), small_params(knn=KNN).knn
    if not bits:
        knn = knn.model_copy(update={"distance": "cosine"})
    network = monitored_fit("mlp", bits=bits).network
    train, val = small_training(48), small_validation(40)
    found = vote_figures(network, train, val, knn, policy)

    caption = arrays["caption"].reshape(48, CAPTIONS, -1)
    caption = caption[:, 0] if policy == "first" else caption.mean(axis=1)
    v_img = np.concatenate([arrays["image"], val.v_img.numpy()])
    soft, scores = encode_dataset(network, v_img, np.concatenate([caption, val.v_txt.numpy()]), 88)
    codes = HeadCodes(soft, binarize(soft) if bits else None, scores)
    labels = np.concatenate([arrays["labels"], val.labels.numpy().astype(np.uint8)])
    train_rows, val_rows = np.split(np.arange(88), [48])
    rows = SplitRows(train_rows, val_rows, val_rows, train_rows)
    figures = evaluate_by_search(codes, labels, rows, knn)
    for name in set(PREDICTORS) - {"mlp"}:
        assert found[f"{name}_mAP"] == pytest.approx(figures[name]["val"]["mAP"], abs=1e-6)


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_f1_is_that_of_scikit_learn(average: str) -> None:
    result, val = monitored_fit(f"f1_{average}"), small_validation()
    _, scores = result.network.encode(val.v_img, val.v_txt)
    expected = f1_score(val.labels.numpy(), scores.numpy() >= 0.5, average=average)
    assert result.history[result.best_epoch - 1][f"val_f1_{average}"] == pytest.approx(expected)


def test_more_voters_than_the_training_split_has_are_refused() -> None:
    settings = small_settings(training={"monitor": "knn"}, knn={"K": 49})
    with pytest.raises(InputError, match=r"knn\.K = 49"):
        fit(small_head(), small_training(48), small_validation(), settings)


def test_a_vote_is_handed_on_only_where_it_is_followed(tmp_path: Path) -> None:
    out, vote, kept = (tmp_path / f"{name}.json" for name in ("checked", "vote", "kept"))
    for monitor, followed in (("mlp", False), ("f1_macro", False), ("knn", True), ("hybrid", True)):
        params = small_params(training={"monitor": monitor}, knn=KNN)
        check_params.main(params, out, vote, kept)
        assert read_vote(vote) == (params.knn if followed else None)


@pytest.mark.parametrize("content", ['{"K": 5}', "[]", "{"])
def test_a_damaged_vote_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "vote.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"vote\.json"):
        read_vote(path)


def test_a_classifier_without_a_code_is_chosen_by_its_own_figure() -> None:
    for monitor, own in (("knn", "mlp"), ("hybrid", "mlp"), ("f1_macro", "f1_macro")):
        params = small_params(training={"monitor": monitor})
        settings = FitSettings.of_classifier(params)
        assert settings.training.monitor == own
        assert settings.vote is None


def test_following_the_vote_leaves_the_weights_of_an_epoch_as_they_are() -> None:
    one, other = (monitored_fit(name, dropout=0.3) for name in ("mlp", "knn"))
    for record, again in zip(one.history, other.history, strict=True):
        assert all(again[name] == value for name, value in record.items())


def test_a_vote_that_is_missing_is_a_defect() -> None:
    with pytest.raises(ValueError, match="needs the vote"):
        FitSettings.from_params(small_params(training={"monitor": "knn"}))
