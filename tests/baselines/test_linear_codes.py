"""Linear codes: LSH, PCA-sign and ITQ."""

from collections.abc import Callable

import faiss
import numpy as np
import numpy.typing as npt
import pytest
import torch

from siglip2_multimodal_hash.baselines.linear_codes import (
    LinearHash,
    fit_itq,
    fit_lsh,
    fit_pca_sign,
)
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.models.linear_codes import principal_components
from siglip2_multimodal_hash.retrieval.codes import hamming_distances, unpack

Floats = npt.NDArray[np.float32]


def train_vectors(count: int = 400, dim: int = 20, seed: int = 0) -> Floats:
    generator = np.random.default_rng(seed)
    scales = np.linspace(3, 0.5, dim)
    return (generator.standard_normal((count, dim)) * scales + 5).astype(np.float32)


def quantisation_loss(fitted: LinearHash, vectors: Floats) -> float:
    soft = fitted.soft_codes(vectors)
    return float(np.square(np.where(soft > 0, 1, -1) - soft).sum())


def test_lsh_estimates_the_angle() -> None:
    generator = np.random.default_rng(1)
    vectors = generator.standard_normal((30, 10)).astype(np.float32)
    vectors -= vectors.mean(axis=0)
    bits = 4096
    codes = fit_lsh(vectors, bits, seed=3).encode(vectors)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    angles = np.arccos(np.clip(units @ units.T, -1, 1)) / np.pi
    # Charikar: each hyperplane separates two vectors with probability angle / pi.
    assert np.abs(hamming_distances(codes, codes) / bits - angles).max() < 0.05


def test_pca_sign_is_the_sign_of_numpys_principal_components() -> None:
    train = train_vectors()
    centred = train.astype(np.float64) - train.mean(axis=0, dtype=np.float64)
    components = np.linalg.svd(centred, full_matrices=False)[2][:8].T
    expected = centred @ components > 0
    found = unpack(fit_pca_sign(train, 8).encode(train)).astype(bool)
    agreement = (found == expected).mean(axis=0)
    assert np.all((agreement == 1) | (agreement == 0))  # a component's sign is a convention


def test_the_components_are_those_of_a_heads_projection() -> None:
    """Up to rounding: that one is in PyTorch, which the baselines without a fit do not load."""
    train = train_vectors()
    centred = torch.from_numpy(train.astype(np.float64) - train.mean(axis=0, dtype=np.float64))
    of_head = principal_components(centred.T @ centred, 8).numpy().T
    assert np.allclose(fit_pca_sign(train, 8).projection, of_head, atol=1e-10)


def test_itq_rotates_and_quantises_better() -> None:
    train = train_vectors()
    principal, rotated = fit_pca_sign(train, 16), fit_itq(train, 16, seed=0)
    start = fit_itq(train, 16, seed=0, iterations=0)
    rotation = np.linalg.lstsq(principal.projection, rotated.projection, rcond=None)[0]
    assert np.allclose(rotation @ rotation.T, np.eye(16), atol=1e-9)
    losses = [quantisation_loss(fitted, train) for fitted in (rotated, start, principal)]
    assert losses[0] < losses[1]
    assert losses[0] < losses[2]


def test_itq_comes_as_near_to_the_signs_as_that_of_faiss() -> None:
    """FAISS's starts from another rotation, on the centred vectors at length 1."""
    train = train_vectors(count=2000)
    units = train - train.mean(axis=0)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    reference = faiss.ITQTransform(train.shape[1], 16, True)
    reference.train(train)

    def nearness(soft: Floats) -> float:
        """Mean cosine of a soft code with its signs."""
        return float((np.abs(soft).sum(axis=1) / np.linalg.norm(soft, axis=1)).mean() / 4)

    found = nearness(fit_itq(units, 16, seed=0).soft_codes(units))
    assert found == pytest.approx(nearness(reference.apply(train)), abs=0.02)
    assert found > nearness(fit_pca_sign(units, 16).soft_codes(units)) + 0.02


@pytest.mark.parametrize("fit", [fit_lsh, fit_itq])
def test_a_seed_fixes_the_codes(fit: Callable[[Floats, int, int], LinearHash]) -> None:
    train = train_vectors()
    one, again, other = fit(train, 16, 7), fit(train, 16, 7), fit(train, 16, 8)
    assert np.array_equal(one.encode(train), again.encode(train))
    assert not np.array_equal(one.encode(train), other.encode(train))


def test_codes_are_fitted_on_the_training_vectors_only() -> None:
    fitted = fit_pca_sign(train_vectors(), 16)
    others = train_vectors(seed=9)
    assert np.array_equal(fitted.encode(others)[:50], fitted.encode(others[:50]))


def test_linear_codes_refuse_bad_input() -> None:
    with pytest.raises(InputError, match=r"hash\.bits = 24: 400 training vectors of 20 dim"):
        fit_pca_sign(train_vectors(), 24)
    with pytest.raises(InputError, match=r"hash\.bits = 16: 16 training vectors .* at most 15"):
        fit_itq(train_vectors(count=16), 16, seed=0)
    with pytest.raises(InputError, match=r"hash\.bits = 0: must be a positive multiple of 8"):
        fit_lsh(train_vectors(), 0, seed=0)
    with pytest.raises(InputError, match="training vectors: no row"):
        fit_lsh(train_vectors(count=0), 8, seed=0)
    with pytest.raises(DataError, match="dimensions of the vectors: 3, of the training: 20"):
        fit_lsh(train_vectors(), 8, seed=0).encode(np.ones((1, 3), dtype=np.float32))
    with pytest.raises(DataError, match="training vectors holds NaN"):
        fit_lsh(train_vectors() * np.float32(np.nan), 8, seed=0)
