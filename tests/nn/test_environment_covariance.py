import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from adlayer import Structures
from adlayer.descriptors.fchl19 import FCHL19
from adlayer.graph import Graph
from adlayer.nn.environment_covariance import Alike, axes_of, covariance, gaussian, internal_directions
from adlayer.potentials.fchl import FCHL


@pytest.fixture(scope="module")
def known(reference):
    return reference("qmllib.json")


@pytest.fixture(scope="module")
def descriptor(known):
    s = known["settings"]
    return FCHL19(known["elements"], s["rcut"], s["acut"], s["nRs2"], s["nRs3"], s["eta2"], s["eta3"])


@pytest.fixture(scope="module")
def graphs(known, descriptor):
    frames = [Atoms(f["numbers"], f["positions"]) for f in known["frames"]]
    return [Graph.of(Structures.from_ase(a), descriptor.cutoff) for a in frames]


def of_qmllib(known, name):
    K = known["kernels"][name]
    return np.reshape(K["numbers"], K["shape"])


def blocks(known, descriptor, graphs, projected):
    """Covariances of two molecules with two others, label by label."""
    parts = [Alike.of(descriptor, g, descriptor.species(g.numbers)) for g in graphs]
    if projected:
        axes = axes_of(parts)
        assert any(u.shape[1] < descriptor.n_features for u in axes)
        parts = [p.onto(axes) for p in parts]
    return [[covariance(a, b, known["sigma"])[0].T.numpy() for b in parts[2:]] for a in parts[:2]]


@pytest.mark.parametrize("projected", [False, True])
def test_all_labels(known, descriptor, graphs, projected):
    """Energies first, then forces, as qmllib orders them."""
    K = blocks(known, descriptor, graphs, projected)

    def joined(rows, columns):
        return np.block([[b[rows, columns] for b in row] for row in K])

    energy, forces = slice(0, 1), slice(1, None)
    ours = np.block([[joined(r, c) for c in (energy, forces)] for r in (energy, forces)])
    np.testing.assert_allclose(ours.T, of_qmllib(known, "gp"), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(joined(energy, energy).T, of_qmllib(known, "local"), rtol=1e-8, atol=1e-10)


def test_operator_form(known, descriptor, graphs):
    """Energies and forces of two molecules by the environments of two others: the design of ``FCHL``."""
    model = FCHL(known["elements"], descriptor=descriptor, sigma=known["sigma"])
    x, z = (torch.cat(y) for y in zip(*((descriptor(g), descriptor.species(g.numbers)) for g in graphs[:2])))
    model.place([x[z == e] for e in range(3)])
    model.whitened = lambda x: x  # the covariances themselves
    design = [model.design(g, virial=False) for g in graphs[2:]]
    back = torch.cat([torch.nonzero(z == e)[:, 0] for e in range(3)]).argsort()
    E = torch.cat([d.energy for d in design])[:, back]
    F = torch.cat([d.forces.flatten(0, 1) for d in design])[:, back]
    np.testing.assert_allclose(E, of_qmllib(known, "atomic"), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(F, of_qmllib(known, "atomic_gradient"), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("name", "pbc", "rigid"), [("H2O", False, 6), ("H2O", True, 3), ("CO2", False, 3)])
def test_no_feature_changes_along_rigid_motions(known, descriptor, name, pbc, rigid):
    atoms = molecule(name)
    atoms.set_cell([5.0, 6.0, 7.0])
    atoms.pbc = pbc
    s = Structures.from_ase([atoms, atoms])
    directions = internal_directions(s)
    assert directions.shape == (2, 9, 9 - rigid)
    alike = Alike.of(descriptor, Graph.of(s, descriptor.cutoff), descriptor.species(s.numbers))
    for all_of_it, part in zip(alike.v, alike.along(directions).v):
        torch.testing.assert_close(part.square().sum(1), all_of_it.square().sum(1))


def test_gaussian():
    x, y = torch.rand(3, 4).double(), torch.rand(2, 5, 4).double()
    expected = torch.exp(-(torch.cdist(y, x.expand(2, 3, 4)) ** 2) / (2 * 0.7**2))
    torch.testing.assert_close(gaussian(y, x, 0.7), expected)
