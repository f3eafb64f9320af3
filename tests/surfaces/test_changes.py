"""Strain, disorder, supercells."""

import numpy as np
import pytest
from ase.build import bulk, fcc111, molecule
from ase.constraints import FixAtoms
from ase.neighborlist import neighbor_list

from adlayer.surfaces import Rattle, Repeat, Strained


def copper_slab():
    atoms = fcc111("Cu", (2, 2, 3), vacuum=6.0)
    atoms.pbc = (True, True, False)
    atoms.set_constraint(FixAtoms(mask=atoms.get_tags() == 3))
    return atoms


def test_strains_of_a_crystal(rng):
    frames = Strained("Si", n=9, amount=0.05)({}, rng)
    volumes = np.array([f.get_volume() for f in frames]) / 5.43**3
    assert np.allclose(volumes, (1 + np.linspace(-0.05, 0.05, 9)) ** 3, atol=0.006)
    assert all(abs(f.cell.angles() - 90).max() > 0.1 for f in frames)
    assert np.allclose(frames[0].get_scaled_positions(), bulk("Si", cubic=True).get_scaled_positions())


def test_slabs_strain_in_their_plane(rng):
    made = {"slab": [copper_slab()]}
    for frame in Strained("slab", n=3, amount=0.03)(made, rng):
        assert np.array_equal(frame.cell[2], made["slab"][0].cell[2])
        assert np.allclose(frame.positions[:, 2], made["slab"][0].positions[:, 2])
        assert frame.constraints
    with pytest.raises(ValueError, match="no periodic direction"):
        Strained("water")({"water": [molecule("H2O")]}, rng)


def test_rattled_as_asked(rng):
    made = {"slab": [copper_slab()], "bulk": [bulk("Cu") * (4, 4, 4)]}
    frames = Rattle(["slab", "bulk"], amplitudes=[0.05, 0.2], n=3)(made, rng)
    assert len(frames) == 12
    moved = frames[0].positions - made["slab"][0].positions
    assert not moved[made["slab"][0].get_tags() == 3].any()
    widths = [(f.positions - made["bulk"][0].positions).std() for f in frames[6:]]
    assert np.allclose(widths, [0.05] * 3 + [0.2] * 3, rtol=0.15)
    assert neighbor_list("d", frames[-1], 3.0).min() > 0.7 * 2 * 1.32
    again = Rattle(["slab", "bulk"], amplitudes=[0.05, 0.2], n=3)(made, np.random.default_rng(7))
    assert np.array_equal(again[5].positions, frames[5].positions)
    with pytest.raises(ValueError, match="take smaller ones"):
        Rattle("bulk", amplitudes=[2.0])(made, rng)


def test_supercells(rng):
    made = {"slab": [copper_slab()]}
    (frame,) = Repeat("slab", [2, 3])(made, rng)
    assert len(frame) == 72
    assert len(frame.constraints[0].index) == 24
    with pytest.raises(ValueError, match="axis 2, which is not periodic"):
        Repeat("slab", [1, 1, 2])(made, rng)
