"""Collective variables: known values, derivatives by finite differences, and images right along each axis."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule

from adlayer import Structures
from adlayer.config import build, describe
from adlayer.simulation.biased import (
    Angle,
    CollectiveVariable,
    Combination,
    Coordinate,
    Coordination,
    Dihedral,
    Distance,
    Function,
    Height,
    Steinhardt,
)


def slab() -> Atoms:
    """A rattled slab in a skewed cell, with a molecule across its edge."""
    atoms = fcc111("Cu", (2, 2, 2), vacuum=5.0)
    atoms += Atoms("OH", [[0.1, 0.2, 10.0], [0.3, -0.6, 10.4]])
    atoms.pbc = (True, True, False)
    atoms.rattle(0.1, seed=1)
    return atoms


def span(structures: Structures) -> torch.Tensor:
    """A function of one's own."""
    r = structures.positions[structures.offsets[:-1]] - structures.positions[structures.offsets[1:] - 1]
    return r.square().sum(-1)


VARIABLES = [
    Coordinate(8, "x"),
    Distance(0, 9),
    Distance([0, 1], [8, 9]),
    Height(8, [4, 5, 6, 7]),
    Angle(9, 8, 4),
    Dihedral(9, 8, 4, 1),
    Coordination("O", "Cu", r0=2.4),
    Coordination([4, 5, 6, 7], "Cu", r0=2.6, cutoff=5.0),
    Steinhardt(4, r1=2.8, cutoff=3.6, atoms="Cu"),
    Steinhardt(6, r1=2.8, cutoff=3.6),
    Combination([Distance(8, 9), Distance(8, 4)], [1.0, -1.0]),
    Function("test_variables.span"),
]


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda v: v.name)
def test_derivatives_and_images(variable: CollectiveVariable):
    structures = Structures.from_ase([slab(), slab()])
    x = structures.positions.clone().requires_grad_()
    s = variable(replace(structures, positions=x))
    gradient = torch.autograd.grad(s.sum(), x)[0]
    step = 1e-5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    ahead, back = (variable(structures.with_positions(structures.positions + h * step)) for h in (1, -1))
    expected = (gradient * step).reshape(2, -1).sum(1)
    assert torch.allclose((ahead - back) / 2, expected, rtol=1e-5, atol=1e-11)
    assert expected.abs().min() > 1e-8
    if not isinstance(variable, Coordinate | Function):  # any atom in any cell
        there = torch.tensor(np.random.default_rng(0).integers(-2, 3, (20, 2)), dtype=torch.float64)
        images = (there[:, None, :] @ structures.cell[structures.system][:, :2])[:, 0]
        assert torch.allclose(variable(structures.with_positions(structures.positions + images)), s, atol=1e-12)
    again = build(describe(variable))
    assert torch.equal(again(structures), s)


def test_known_values():
    water = Structures.from_ase(molecule("H2O"))
    assert Angle(1, 0, 2)(water).item() == pytest.approx(103.9999, abs=1e-3)
    assert Distance(0, 1)(water).item() == pytest.approx(0.9686, abs=1e-4)
    peroxide = molecule("H2O2")
    expected = (peroxide.get_dihedral(2, 0, 1, 3) + 180) % 360 - 180
    assert Dihedral(2, 0, 1, 3)(Structures.from_ase(peroxide)).item() == pytest.approx(expected, abs=1e-8)
    assert Dihedral(2, 0, 1, 3).period == 360
    fcc, hcp = bulk("Cu", cubic=True), bulk("Co", "hcp", a=2.5, c=2.5 * (8 / 3) ** 0.5)
    for atoms, r1, cutoff, q4, q6 in ((fcc, 2.7, 3.3, 0.1909, 0.5745), (hcp, 2.6, 3.2, 0.0972, 0.4848)):
        structures = Structures.from_ase(atoms)
        assert Steinhardt(4, r1, cutoff)(structures).item() == pytest.approx(q4, abs=1e-4)
        assert Steinhardt(6, r1, cutoff)(structures).item() == pytest.approx(q6, abs=1e-4)
    assert Coordination("Cu", "Cu", r0=3.1, n=60)(Structures.from_ase(fcc)).item() == pytest.approx(12, abs=0.02)
    assert Steinhardt(6, 1.0, 2.0)(Structures.from_ase(fcc)).item() == 0
    surface = fcc111("Cu", (1, 1, 3), vacuum=5.0)
    surface.pbc = (True, True, False)
    height = surface.positions[:, 2].max() - surface.positions[:, 2].min()
    assert Height(2, 0)(Structures.from_ase(surface)).item() == pytest.approx(height)


def test_shortest_image_of_a_skewed_cell():
    cell = np.array([[3.0, 0, 0], [2.6, 1.8, 0], [0, 0, 5.0]])
    atoms = Atoms("H2", [[0, 0, 0], [2.8, 1.2, 0.3]], cell=cell, pbc=(True, True, False))
    assert Distance(0, 1)(Structures.from_ase(atoms)).item() == pytest.approx(atoms.get_distance(0, 1, mic=True))


def test_bad_variables_are_one_sentence():
    structures = Structures.from_ase(slab())
    with pytest.raises(ValueError, match="names atoms 12, where structures have atoms 0 to 9"):
        Distance(0, 12)(structures)
    with pytest.raises(ValueError, match="about Pt, of which a structure has none"):
        Coordination("O", "Pt", r0=2.0)(structures)
    with pytest.raises(ValueError, match="'Xy' is no chemical symbol"):
        Coordination("O", "Xy", r0=2.0)(structures)
    with pytest.raises(ValueError, match="needs a surface"):
        Height(0, 1)(Structures.from_ase(molecule("H2O")))
    with pytest.raises(ValueError, match=r"beyond r0 = 2\.0"):
        Coordination("O", "Cu", r0=2.0, cutoff=1.0)
    with pytest.raises(ValueError, match="dotted name"):
        Function("span")(structures)
