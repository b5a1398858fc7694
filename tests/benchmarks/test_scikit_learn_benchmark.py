"""The benchmark against scikit-learn compares what is the same."""

import numpy as np

from benchmarks.scikit_learn import figures, probes, timed


def test_figures_agree() -> None:
    generator = np.random.default_rng(0)
    labels = (generator.random((60, 5)) < 0.4).astype(np.uint8)
    scores = np.round(generator.random((60, 5)), 1).astype(np.float32)
    for name, pair in figures(scores, labels).items():
        assert timed(*pair, 1)["largest_difference"] < 1e-12, name


def test_probes_agree_but_for_where_their_searches_stop() -> None:
    generator = np.random.default_rng(1)
    vectors = generator.standard_normal((300, 6)).astype(np.float32)
    labels = (vectors @ np.eye(6, 3) + generator.standard_normal((300, 3)) > 0.5).astype(np.uint8)
    own, theirs = probes(vectors, labels, np.arange(200), np.arange(200, 300))
    assert timed(own, theirs, 1)["largest_difference"] < 1e-2
