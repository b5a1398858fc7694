"""The linear probe: scikit-learn's optimum, all classes at once, lambda chosen on val."""

import logging
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as Reference

from siglip2_multimodal_hash.baselines.logistic import fit_logistic_regression
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.evaluation.average_precision import mean_average_precision

COUNT, DIM, CLASSES = 150, 6, 3


def some_data(count: int = COUNT, seed: int = 0) -> dict[str, Any]:
    """Columns of unlike size, and labels that a line does not quite separate."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((count, DIM))
    true = np.random.default_rng(99).standard_normal((DIM, CLASSES))
    labels = (x @ true + generator.standard_normal((count, CLASSES)) > 0.8).astype(np.uint8)
    vectors = (x * 10.0 ** np.arange(-3, 3) + 7).astype(np.float32)
    return {"vectors": vectors, "labels": labels}


def fitted(*, strengths: Any = (1e-2,), **changes: Any) -> Any:
    train, val = some_data() | changes, some_data(seed=1)
    return fit_logistic_regression(
        train["vectors"], train["labels"], val["vectors"], val["labels"], strengths=strengths
    )


# In float32 the loss stops falling before the weights stand still, the more so the less the
# strength; by how much depends on the kernels, a finer stop of the search changes nothing.
@pytest.mark.parametrize(
    ("strength", "relative", "of_score"),
    [(1.0, 0, 5e-4), (1e-2, 0, 5e-4), (1e-4, 1e-3, 1e-3)],
)
def test_it_is_scikit_learns_optimum_of_every_class(
    strength: float, relative: float, of_score: float
) -> None:
    data = some_data()
    found = fitted(strengths=(strength,))
    x = data["vectors"].astype(np.float64)
    standardised = (x - x.mean(axis=0)) / x.std(axis=0)
    scores = found.scores(data["vectors"])
    assert scores.dtype == np.float32
    for number in range(CLASSES):
        reference = Reference(C=1 / (strength * COUNT), tol=1e-10, max_iter=10_000)
        reference.fit(standardised, data["labels"][:, number])
        weight = found.weight[:, number]
        np.testing.assert_allclose(weight, reference.coef_[0], rtol=relative, atol=2e-3)
        expected = reference.predict_proba(standardised)[:, 1]
        np.testing.assert_allclose(scores[:, number], expected, atol=of_score)


def test_one_column_by_hand() -> None:
    """Half the images at -1 and half at +1 after standardising, 3 of 4 on the side of the class.

    Without regularisation p(+1) = 3/4, so the weight is log 3 and the bias 0.
    """
    vectors = np.repeat([[10.0], [30.0]], 4, axis=0).astype(np.float32)
    labels = np.array([[0, 0, 0, 1, 1, 1, 1, 0]], dtype=np.uint8).T
    found = fit_logistic_regression(vectors, labels, vectors, labels, strengths=(1e-9,))
    assert found.weight.item() == pytest.approx(np.log(3), abs=1e-4)
    assert found.bias.item() == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(found.scores(vectors)[[0, -1], 0], [0.25, 0.75], atol=1e-4)


def test_lambda_is_chosen_on_val_among_those_up_to_the_first_that_is_worse(
    caplog: pytest.LogCaptureFixture,
) -> None:
    strengths = (100.0, 10.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
    with caplog.at_level(logging.DEBUG):
        found = fitted(strengths=strengths)
    tried = [float(line.split()[2][:-1]) for line in caplog.messages[:-1]]
    values = [float(line.split()[-1]) for line in caplog.messages[:-1]]
    assert tuple(tried) == strengths[: len(tried)]
    assert 2 < len(tried) < len(strengths)
    assert values[:-1] == sorted(set(values[:-1]))
    assert values[-1] <= values[-2]
    assert found.strength == tried[-2]
    assert caplog.messages[-1] == caplog.messages[-3]
    val = some_data(seed=1)
    assert (
        found.val_map == mean_average_precision(found.scores(val["vectors"]), val["labels"]).value
    )
    # A warm start changes nothing but the time.
    alone = fitted(strengths=(found.strength,))
    np.testing.assert_allclose(found.weight, alone.weight, atol=1e-3)


def test_of_equal_val_map_the_strongest_stays() -> None:
    """One class that the sign of one column decides: every lambda ranks the same."""
    vectors = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
    labels = (vectors > 0).astype(np.uint8)
    found = fit_logistic_regression(vectors, labels, vectors, labels, strengths=(1.0, 0.1))
    assert (found.strength, found.val_map) == (1.0, 1.0)


def test_constant_columns_and_classes_without_positives_stay_finite() -> None:
    data = some_data()
    data["vectors"][:, 0] = 3.5
    data["labels"][:, 1] = 0
    found = fitted(**data)
    assert found.weight[0].abs().max() == 0
    scores = found.scores(data["vectors"])
    assert np.isfinite(scores).all()
    assert scores[:, 1].max() < 0.01


def test_a_fit_gives_the_same_bytes_again() -> None:
    one, again = fitted(), fitted()
    assert one.weight.numpy().tobytes() == again.weight.numpy().tobytes()


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match=r"lambdas .* \(0\.1, 0\.0\), not positive, falling"):
        fitted(strengths=(0.1, 0.0))
    with pytest.raises(InputError, match=r"lambdas .* \(0\.1, 0\.2\), not positive, falling"):
        fitted(strengths=(0.1, 0.2))
    with pytest.raises(InputError, match="lambdas"):
        fitted(strengths=())
    with pytest.raises(DataError, match="train: 150 rows of embeddings, 149 of labels"):
        fitted(labels=some_data()["labels"][1:])
    with pytest.raises(DataError, match="train: 0 rows of embeddings"):
        fitted(vectors=some_data()["vectors"][:0], labels=some_data()["labels"][:0])
