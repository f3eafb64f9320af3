import numpy as np
import pytest
import torch
from conftest import silicon

from adlayer import Descriptor, Graph, Structures, catalogue
from adlayer.data.features import features

NAMES = [name for name, cls in catalogue(Descriptor).items() if cls.small and name != "DPA2"]  # its reach is longer


@pytest.fixture(scope="module")
def structures() -> Structures:
    """One in which atoms see their own images, and a cluster."""
    return Structures.from_ase([silicon("bulk", 1), silicon("cluster", 2)])


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_those_of_the_features(name, structures):
    cls = catalogue(Descriptor)[name]
    torch.manual_seed(0)
    descriptor = cls(**cls.small).double()
    descriptor.prepare([Graph.of(structures, descriptor.cutoff)])
    n, k, h = structures.n_atoms, 9, 1e-5

    def at(step: float) -> np.ndarray:
        positions = structures.positions.clone()
        positions[[3, k], [1, 2]] += step  # an atom of each structure
        return features(descriptor, structures.with_positions(positions))["features"]

    found = features(descriptor, structures, derivatives="sparse")
    D = np.zeros((n, n, 3, descriptor.n_features))
    D[found["derivatives_of"], found["derivatives_by"]] = found["derivatives"]
    slope = (at(h) - at(-h)) / (2 * h)
    np.testing.assert_allclose(D[:, 3, 1] + D[:, k, 2], slope, atol=1e-7 * max(1.0, np.abs(slope).max()))
    np.testing.assert_allclose(D.sum(1), 0, atol=1e-12 * max(1.0, np.abs(D).max()))  # nothing moves: all do


def test_dense_sparse_and_means_agree(structures):
    descriptor = catalogue(Descriptor)["SOAP"](["Si", "H"], cutoff=4.0, n_max=2, l_max=1)
    sparse, dense, plain = (features(descriptor, structures, derivatives=d) for d in ("sparse", "dense", "none"))
    means = features(descriptor, structures, average=True, derivatives="sparse")
    first = 0
    for s, N in enumerate(structures.counts.tolist()):
        D = np.zeros((N, N, 3, descriptor.n_features))
        here = (sparse["derivatives_of"] >= first) & (sparse["derivatives_of"] < first + N)
        D[sparse["derivatives_of"][here] - first, sparse["derivatives_by"][here] - first] = sparse["derivatives"][here]
        np.testing.assert_array_equal(D, dense[f"derivatives_{s}"])
        np.testing.assert_allclose(means["derivatives"][first : first + N], D.mean(0), atol=1e-15)
        np.testing.assert_allclose(means["features"][s], plain["features"][first : first + N].mean(0), atol=1e-15)
        first += N
    np.testing.assert_array_equal(plain["offsets"], structures.offsets)


def test_parts_make_the_whole():
    many = Structures.from_ase([silicon("bulk", k) for k in range(300)])
    descriptor = catalogue(Descriptor)["ACSF"](["Si"], cutoff=4.0, n_radial=2, n_angular=1, zetas=[1])
    found = features(descriptor, many, derivatives="sparse")
    alone = features(descriptor, many[250], derivatives="sparse")
    here = (found["derivatives_of"] >= 2000) & (found["derivatives_of"] < 2008)
    np.testing.assert_allclose(found["derivatives"][here], alone["derivatives"], atol=1e-14)
    np.testing.assert_array_equal(found["derivatives_by"][here] - 2000, alone["derivatives_by"])
    assert features(descriptor, many[:2], dtype=np.float32)["features"].dtype == np.float32


def test_what_does_not_fit_or_is_not_known_is_said(structures):
    descriptor = catalogue(Descriptor)["SOAP"](["Si", "H"], cutoff=4.0, n_max=3, l_max=2)
    with pytest.raises(
        ValueError, match=r"63 features of 16 atoms, dense derivatives, need 0\.4 MB and 0\.2 MB are free"
    ):
        features(descriptor, structures, derivatives="dense", memory=2e5)
    with pytest.raises(ValueError, match=r"derivatives of means \(0\.0 MB\) or no derivatives .* would fit"):
        features(descriptor, structures, derivatives="dense", memory=1e5)
    with pytest.raises(ValueError, match=r"0\.0 MB are free; fewer atoms would fit"):
        features(descriptor, structures, derivatives="dense", memory=1e3)
    with pytest.raises(ValueError, match="SOAP knows Si; the structures also hold H"):
        features(catalogue(Descriptor)["SOAP"](["Si"]), structures)
    with pytest.raises(
        ValueError, match="derivatives must be none, sparse or dense, got 'spars'; did you mean 'sparse'"
    ):
        features(descriptor, structures, derivatives="spars")


def test_derivatives_of_what_neighbors_see_are_refused(structures):
    descriptor = catalogue(Descriptor)["DPA2"](**catalogue(Descriptor)["DPA2"].small).double()
    with pytest.raises(TypeError, match="DPA2 sees neighbors of neighbors"):
        features(descriptor, structures, derivatives="sparse")
