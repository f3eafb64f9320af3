import numpy as np
import pytest

from adlayer.data import choose
from adlayer.data.selection import CUR, Clusters, FarthestPoints, MostUncertain

METHODS = [FarthestPoints(), CUR(), Clusters(), MostUncertain()]


@pytest.fixture
def blobs(rng):
    """Four tight heaps of 5, 10, 20 and 40 items."""
    centers = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10.0]])
    label = np.repeat(np.arange(4), [5, 10, 20, 40])
    return centers[label] + 0.05 * rng.normal(size=(75, 3)), label


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_choices_are_distinct_reproducible_and_never_too_many(method, blobs, rng):
    x, _ = blobs
    scores = rng.random(75)
    chosen = method(x, scores, 6, np.random.default_rng(0))
    assert chosen == method(x, scores, 6, np.random.default_rng(0))
    assert len(set(chosen)) == len(chosen) <= 6
    assert len(method(x[:3], None, 10)) <= 3
    assert method(x, scores, 0) == []
    assert method(x[:0], None, 5) == []


@pytest.mark.parametrize("method", [FarthestPoints(), Clusters()], ids=lambda m: type(m).__name__)
def test_diverse_choices_visit_every_heap(method, blobs):
    x, label = blobs
    assert set(label[method(x, None, 4)]) == {0, 1, 2, 3}


def test_cur_spans_what_there_is(rng):
    basis = rng.normal(size=(3, 8))
    x = rng.normal(size=(50, 3)) @ basis
    chosen = CUR()(x, None, 20)
    assert len(chosen) == 3  # the rank: nothing is left to choose after it
    assert np.linalg.matrix_rank((x - x.mean(0))[chosen]) == 3


def test_repeats_are_not_chosen_twice():
    x = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 10, axis=0)
    assert len(FarthestPoints()(x, None, 10)) == 3
    assert len(MostUncertain()(x, np.arange(30.0), 10)) == 3


def test_scores_weigh(blobs):
    x, label = blobs
    scores = np.where(label == 2, 1.0, 0.01)
    assert label[choose(x, scores, 1)[0]] == 2
    assert label[MostUncertain()(x, scores, 1)[0]] == 2
    best = np.zeros(75)
    best[[3, 8, 20, 60]] = 1.0
    assert sorted(Clusters()(x, best + 1e-9, 4)) == [3, 8, 20, 60]
    assert set(choose(x, best, 10)) <= {3, 8, 20, 60}  # what nobody wants is not taken to fill up


def test_features_per_atom_are_averaged(rng):
    per_atom = [rng.normal(size=(n, 4)) + k for k, n in enumerate((3, 5, 8))]
    assert choose(per_atom, None, 2) == choose(np.stack([f.mean(0) for f in per_atom]), None, 2)


def test_features_that_are_not_numbers():
    with pytest.raises(ValueError, match="item 1"):
        choose(np.array([[0.0], [np.nan]]))
