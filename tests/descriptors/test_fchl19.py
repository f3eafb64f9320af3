import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from adlayer import Structures, kernels
from adlayer.checks import check_descriptor
from adlayer.descriptors.fchl19 import FCHL19
from adlayer.graph import Graph


def of_qmllib(known) -> FCHL19:
    s = known["settings"]
    return FCHL19(known["elements"], s["rcut"], s["acut"], s["nRs2"], s["nRs3"], s["eta2"], s["eta3"])


def graph_of(frame, cutoff) -> Graph:
    return Graph.of(Structures.from_ase(Atoms(frame["numbers"], frame["positions"])), cutoff)


def test_features_of_qmllib(reference):
    """By default all settings are those of the authors' program."""
    known = reference("qmllib.json")
    G = FCHL19(known["elements"])(graph_of(known["default"], 8.0))
    np.testing.assert_allclose(G, known["default"]["features"], rtol=1e-9, atol=1e-11)


def test_gradients_of_qmllib(reference):
    known = reference("qmllib.json")
    descriptor, frame = of_qmllib(known), known["gradients"]
    graph = graph_of(frame, descriptor.cutoff)
    np.testing.assert_allclose(descriptor(graph), frame["features"], rtol=1e-9, atol=1e-11)
    J, n = descriptor.jacobian(graph), graph.n_atoms
    dG = torch.zeros(n, n, 3, descriptor.n_features, dtype=J.dtype)
    dG.index_put_((graph.i, graph.j), J, accumulate=True)
    dG.index_put_((graph.i, graph.i), -J, accumulate=True)
    np.testing.assert_allclose(dG.permute(0, 3, 1, 2), frame["gradients"], rtol=1e-8, atol=1e-9)


def test_jacobian(silicon_structures):
    """Fused equals plain, for atoms that see their own images in line as well."""
    descriptor = FCHL19(**FCHL19.small)
    graph = Graph.of(silicon_structures[[1, 4]], 5.0)
    J = descriptor.jacobian(graph)
    with kernels.plain():
        torch.testing.assert_close(J, descriptor.jacobian(graph), rtol=0, atol=1e-10)


def test_many_lanes_and_blocks():
    """More radii than fit into one vector of the machine, and more pairs than one block."""
    descriptor = FCHL19(["Si", "H"], 6.5, 6.5, 7, 11)
    check_descriptor(descriptor, ["fused_equals_plain", "forces_are_derivatives", "second_derivatives"])
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.05, seed=0)
    graph = Graph.of(Structures.from_ase(atoms), 6.5)
    fused = descriptor(graph)
    with kernels.plain():
        torch.testing.assert_close(fused, descriptor(graph), rtol=1e-11, atol=1e-11)


def test_in_line():
    """Where three atoms are in line the features are finite, and so are their slopes."""
    atoms = Atoms("SiHSi", [[0, 0, 0], [0, 0, 1.5], [0, 0, 3.1]])
    graph = Graph.of(Structures.from_ase(atoms), 4.5)
    J = FCHL19(**FCHL19.small).jacobian(graph)
    assert J.isfinite().all()
    assert J[:, :2].abs().max() < 1e-12  # across the line nothing changes to first order


def test_messages():
    with pytest.raises(ValueError, match="angular_cutoff is from 0 to the cutoff"):
        FCHL19(["Si"], cutoff=5.0)
    with pytest.raises(ValueError, match="must be positive"):
        FCHL19(["Si"], eta2=-1.0)
