"""Head without gradients: its parts by formulas and scikit-learn, and its place in a fit."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.linear_model import Ridge

from siglip2_multimodal_hash.baselines.untrained import float_embedding, untrained_codes
from siglip2_multimodal_hash.errors import ParamsError
from siglip2_multimodal_hash.evaluation.average_precision import mean_average_precision
from siglip2_multimodal_hash.models.initialisation import FitStart
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.params import parse_params
from siglip2_multimodal_hash.retrieval.codes import binarize
from siglip2_multimodal_hash.training.checkpoint import BEST, LAST, load_weights
from siglip2_multimodal_hash.training.closed_form import (
    STRENGTHS,
    LabelTargets,
    closed_form_weights,
    ridge_map,
)
from siglip2_multimodal_hash.training.data import TrainingData, ValidationData
from siglip2_multimodal_hash.training.loop import Checkpoints, FitResult, fit
from tests.parameters import PARAMS
from tests.training.small_fits import (
    CAPTIONS,
    CLASSES,
    checkpointing,
    small_arrays,
    small_head,
    small_settings,
    small_training,
    small_validation,
)

PRIOR = torch.zeros(CLASSES)


def labels_of(count: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(small_arrays(count, seed)["labels"]).double()


def test_targets_are_alike_as_labels_are() -> None:
    """Both halves by their definitions: of 4 classes there are at most 16 sets of labels."""
    labels = labels_of(300)
    found = LabelTargets(labels, components=16)(labels).numpy()
    y = labels.numpy()
    prior = y.mean(axis=0)
    own = (y - prior) / np.sqrt(prior * (1 - prior) + 1e-3)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    np.testing.assert_allclose(found[:, :CLASSES] * np.sqrt(2), own)

    share = np.where(y @ y.T > 0, 1.0, -1.0)
    values, vectors = np.linalg.eigh(share / len(y))
    kept = values > 1e-9
    positive = vectors[:, kept] * np.sqrt(values[kept] * len(y))
    positive -= positive.mean(axis=0)
    positive /= np.sqrt((positive**2).sum(axis=1).mean())
    shared = found[:, CLASSES:] * np.sqrt(2)
    np.testing.assert_allclose(shared @ shared.T, positive @ positive.T, atol=1e-9)


def test_targets_of_labels_that_all_share_are_finite() -> None:
    same = torch.ones(10, CLASSES, dtype=torch.float64)
    assert LabelTargets(same, components=8)(same).isfinite().all()
    none = torch.zeros(10, CLASSES, dtype=torch.float64)
    assert LabelTargets(none, components=8)(none).isfinite().all()


def test_the_ridge_is_scikit_learns_of_the_best_strength_on_val() -> None:
    generator = np.random.default_rng(0)
    x, x_val = generator.normal(size=(60, 20)), generator.normal(size=(40, 20))
    truth = generator.normal(size=(20, 3))
    t, t_val = x @ truth + generator.normal(size=(60, 3)) * 3, x_val @ truth
    x -= x.mean(axis=0)
    t -= t.mean(axis=0)
    length = (x**2).sum(axis=1).mean()
    fits = [Ridge(alpha=one * length, fit_intercept=False).fit(x, t) for one in STRENGTHS]
    best = min(fits, key=lambda one: ((one.predict(x_val) - t_val) ** 2).sum())
    assert best is not fits[0]
    assert best is not fits[-1]
    tensors = [torch.from_numpy(v) for v in (x, t, x_val, t_val)]
    found = ridge_map(tensors[0].float(), tensors[1], tensors[2].float(), tensors[3])
    np.testing.assert_allclose(found.numpy(), best.coef_.T, rtol=1e-4, atol=1e-5)


def solved(**changes: Any) -> HashNetwork:
    torch.manual_seed(0)
    network = FitStart().build(small_head(shortcut=True, **changes))
    train = small_training()
    FitStart().apply(network, train.first_pairs, train.sample_pairs, PRIOR, seed=0)
    before = {name: v.clone() for name, v in network.state_dict().items()}
    state = closed_form_weights(network, train, small_validation(), PRIOR, seed=0)
    assert all(torch.equal(before[name], v) for name, v in network.state_dict().items())
    network.load_state_dict(state)
    return network.eval()


@pytest.mark.parametrize(
    "changes",
    [{}, {"normalize": "batchnorm"}, {"classifier_bias": False}, {"fusion": "low_rank_bilinear"}],
)
def test_its_bits_are_linear_and_split_train_in_half(changes: dict[str, Any]) -> None:
    network = solved(**changes)
    assert network.hash_layer is not None
    assert not network.hash_layer.weight.any()
    sample = list(small_training().sample())
    output = network(torch.cat([one[0] for one in sample]), torch.cat([one[1] for one in sample]))
    u = output.pre_code.detach().numpy()
    np.testing.assert_allclose(u.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(u.std(axis=0), 1, rtol=1e-3)


def test_its_code_and_classifier_find_the_classes() -> None:
    """On 48 pairs, held-out items by its scores: better than chance by far."""
    network, val = solved(), small_validation()
    _, scores = network.encode(val.v_img, val.v_txt)
    assert mean_average_precision(scores.numpy(), val.labels.numpy()).value > 0.9


def test_its_neighbours_are_better_than_those_of_untrained_codes() -> None:
    """Of embeddings whose largest part says nothing of the labels, as with photos."""
    generator = np.random.default_rng(5)
    rows, noise = 140, 40
    signal = small_arrays(rows)
    first = np.arange(rows) * CAPTIONS
    image, caption = (
        np.hstack([v, 2 * generator.normal(size=(rows, noise))]).astype(np.float32)
        for v in (signal["image"], signal["caption"][first])
    )
    labels = signal["labels"]
    train, held_out = np.arange(100), np.arange(100, rows)
    torch.manual_seed(0)
    head = FitStart().build(small_head(shortcut=True, image_dim=48, caption_dim=48))
    offsets = np.arange(rows + 1)
    data = TrainingData.select(
        train, image=image, caption=caption, caption_offsets=offsets, labels=labels
    )
    val = ValidationData.select(held_out[:20], image=image, caption=caption, labels=labels)
    FitStart().apply(head, data.first_pairs, data.sample_pairs, PRIOR, seed=0)
    head.load_state_dict(closed_form_weights(head, data, val, PRIOR, seed=0))
    soft, _ = head.encode(torch.from_numpy(image), torch.from_numpy(caption))
    share = labels @ labels.T > 0

    def alike(packed: npt.NDArray[np.uint8]) -> float:
        """Mean agreement of held-out and training items with a common label, less the others'."""
        bits = np.unpackbits(packed, axis=1).astype(float) * 2 - 1
        agreement = (bits @ bits.T / bits.shape[1])[np.ix_(held_out[20:], train)]
        known = share[np.ix_(held_out[20:], train)]
        return float(agreement[known].mean() - agreement[~known].mean())

    codes = untrained_codes(float_embedding(image, caption), train, bits=16, seed=0)
    for name in ("lsh", "pca_sign", "itq"):
        packed = codes[name].packed
        assert packed is not None
        assert alike(binarize(soft.numpy())) > 2 * alike(packed), name


def small_fit(
    folder: Path,
    *,
    closed_form: bool,
    train: TrainingData | None = None,
    val: ValidationData | None = None,
    **training: Any,
) -> FitResult:
    settings = small_settings(
        training={"closed_form": closed_form, **training}, hash={"shortcut": "random"}
    )
    return fit(
        small_head(shortcut=True),
        train or small_training(),
        val or small_validation(),
        settings,
        Checkpoints(folder, checkpointing()),
    )


def test_a_fit_keeps_it_where_no_epoch_is_better(tmp_path: Path) -> None:
    found = small_fit(tmp_path / "head", closed_form=True, num_epochs=2)
    assert found.history[0]["epoch"] == 0
    assert found.val_map == max(record["val_mAP"] for record in found.history)
    assert found.best_epoch == 0
    assert not load_weights(tmp_path / "head" / BEST)["hash_layer.weight"].any()


def test_no_epoch_depends_on_it(tmp_path: Path) -> None:
    found = [small_fit(tmp_path / str(on), closed_form=on) for on in (True, False)]
    assert found[0].history[1:] == found[1].history
    last = [load_weights(tmp_path / str(on) / LAST) for on in (True, False)]
    assert all(torch.equal(last[0][name], v) for name, v in last[1].items())


def constant(_: str, v: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ones_like(v)


def of_one_label(name: str, v: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ones_like(v) if name == "labels" else v


@pytest.mark.parametrize("images", [1, 48])
@pytest.mark.parametrize("changed", [constant, of_one_label])
def test_where_it_solves_nothing_it_is_left_out_and_said_so(
    images: int, changed: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arrays = small_arrays(images)
    for name in ("image", "caption", "labels"):
        arrays[name] = changed(name, arrays[name])
    train = TrainingData.select(np.arange(images), **arrays)
    result = small_fit(tmp_path / "head", closed_form=True, train=train, num_epochs=1)
    assert [one["epoch"] for one in result.history] == [1]
    assert result.best_epoch == 1
    assert "closed form: left out, because its bits tell hardly any val items" in caplog.text
    assert all(v.isfinite().all() for v in result.network.state_dict().values())


def test_a_collapse_of_the_epochs_is_warned_of_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Bits are constants on a val split of one item, in the closed form, too."""
    small_fit(tmp_path / "head", closed_form=True, val=small_validation(1))
    assert "epoch 1/3: the bits have become constants" in caplog.text


def test_a_sample_is_spread_over_all_captions() -> None:
    train = small_training(40)
    every = [torch.cat(of) for of in zip(*train.sample(), strict=True)]
    sample = [torch.cat(of) for of in zip(*train.sample(most=50), strict=True)]
    rows = np.arange(50) * len(train.captions) // 50
    assert all(torch.equal(part, whole[rows]) for part, whole in zip(sample, every, strict=True))


def test_it_needs_a_shortcut() -> None:
    values = PARAMS.model_dump(mode="json")
    values["hash"]["shortcut"] = "none"
    with pytest.raises(ParamsError, match=r"training\.closed_form = true.*hash\.shortcut = none"):
        parse_params(values)
    values["hash"]["bits"] = 0
    values["knn"]["distance"] = "cosine"
    parse_params(values)
