"""Slabs and bulk cells: atoms, layers, bonds, orientation, what saturates and what holds the bottom."""

import numpy as np
import pytest
from ase.build import bcc110, bulk, diamond100, fcc100, fcc111, fcc211
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from adlayer.config import build
from adlayer.surfaces import Bulk, Generator, Given, Slab, slab


def coordination(atoms, cutoff):
    return np.bincount(neighbor_list("i", atoms, cutoff), minlength=len(atoms))


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (("Cu", [1, 1, 1]), fcc111("Cu", (1, 1, 5))),
        (("Cu", [1, 0, 0]), fcc100("Cu", (1, 1, 5))),
        (("Fe", [1, 1, 0]), bcc110("Fe", (1, 1, 5))),
        (("Si", [1, 0, 0]), diamond100("Si", (1, 1, 5))),
        (("Cu", [2, 1, 1]), fcc211("Cu", (3, 1, 2))),
    ],
)
def test_same_surface_as_ase_builds(ours, theirs):
    """Area per top atom, spacing of the layers and coordination of every layer."""
    layers = len(set(theirs.positions[:, 2].round(3))) if ours[1] == [2, 1, 1] else 5
    (atoms,) = Slab(*ours, layers=layers)({}, None)
    assert atoms.pbc.tolist() == [True, True, False]
    assert len(atoms) == layers
    area = np.linalg.norm(np.cross(atoms.cell[0], atoms.cell[1]))
    theirs.center(10, axis=2)
    theirs.pbc = (True, True, False)
    ase_area = np.linalg.norm(np.cross(theirs.cell[0], theirs.cell[1]))
    assert area / len(atoms) == pytest.approx(ase_area / len(theirs))
    cutoff = 1.3 * neighbor_list("d", bulk(ours[0]), 4.0).min()
    assert sorted(coordination(atoms, cutoff)) == sorted(coordination(theirs, cutoff))
    heights = atoms.positions[np.argsort(atoms.get_tags()), 2]
    assert np.all(np.diff(heights) < 0)


def test_high_index_surface():
    """Pt(17 15 15): the area is the primitive volume over the spacing of its planes."""
    (atoms,) = Slab("Pt", [17, 15, 15], layers=90)({}, None)
    a = bulk("Pt", cubic=True).cell[0, 0]
    area = np.linalg.norm(np.cross(atoms.cell[0], atoms.cell[1]))
    assert area == pytest.approx(a**2 / 4 * np.sqrt(17**2 + 15**2 + 15**2), rel=1e-6)
    assert coordination(atoms, 1.2 * a / np.sqrt(2)).max() == 12


def test_si100_with_hydrogen():
    """Six layers of four silicon atoms, eight hydrogens on the bonds that were cut; the demonstration's slab."""
    (atoms,) = Slab("Si", [1, 0, 0], layers=6, repeat=[2, 2], passivate="H")({}, None)
    assert atoms.get_chemical_formula() == "H8Si24"
    silicon = atoms.symbols == "Si"
    tags = atoms.get_tags()
    bonds = coordination(atoms, [1.2 * covalent_radii[z] for z in atoms.numbers])
    assert set(bonds[silicon & (tags > 1)]) == {4}
    assert set(bonds[tags == 1]) == {2}
    assert np.bincount(tags).tolist() == [0, 4, 4, 4, 4, 4, 4, 8]
    i, d = neighbor_list("id", atoms, {("Si", "H"): 1.8})
    assert np.allclose(d, covalent_radii[14] + covalent_radii[1])
    assert len(i) == 16
    _, _, angle = _h_si_h(atoms)
    assert np.allclose(angle, 109.4712, atol=1e-3)
    assert atoms.constraints[0].index.tolist() == np.flatnonzero(tags >= 6).tolist()
    z = atoms.positions[:, 2]
    assert z.min() == pytest.approx(10)
    assert atoms.cell[2, 2] - z.max() == pytest.approx(10)


def _h_si_h(atoms):
    i, j, D = neighbor_list("ijD", atoms, {("Si", "H"): 1.8})
    vectors = {s: D[i == s] for s in np.flatnonzero(atoms.symbols == "Si") if (i == s).any()}
    cosine = [np.dot(*v) / np.prod(np.linalg.norm(v, axis=1)) for v in vectors.values()]
    return i, j, np.degrees(np.arccos(cosine))


def test_both_sides_and_bond_length():
    (atoms,) = Slab("Si", [1, 1, 1], layers=8, passivate="H", sides="both", bond=1.5, frozen=0)({}, None)
    silicon = atoms.symbols == "Si"
    assert set(coordination(atoms, [1.25 * covalent_radii[z] for z in atoms.numbers])[silicon]) == {4}
    assert np.allclose(neighbor_list("d", atoms, {("Si", "H"): 1.7}), 1.5)
    assert not atoms.constraints


def test_terminations_of_a_compound():
    """Rocksalt (111) ends in the one element or the other; (100) has both in each layer."""
    rocksalt = bulk("MgO", "rocksalt", a=4.21, cubic=True)
    tops = []
    for termination in (0, 1):
        atoms = slab(rocksalt, [1, 1, 1], layers=4, termination=termination)
        tops.append(atoms.symbols[atoms.get_tags() == 1][0])
        assert atoms.get_chemical_formula() == "Mg2O2"
    assert set(tops) == {"Mg", "O"}
    atoms = slab(rocksalt, [1, 0, 0], layers=3)
    assert all(len(set(atoms.symbols[atoms.get_tags() == k])) == 2 for k in (1, 2, 3))
    with pytest.raises(ValueError, match="termination 2 does not exist"):
        slab(rocksalt, [1, 1, 1], termination=2)


def test_bulk_in_the_cell_of_the_slab():
    (atoms,) = Bulk("Si", repeat=[2, 2], miller=[1, 0, 0], layers=8)({}, None)
    (surface,) = Slab("Si", [1, 0, 0], repeat=[2, 2])({}, None)
    assert np.allclose(atoms.cell[:2], surface.cell[:2])
    assert np.allclose(atoms.cell.angles(), 90)
    assert len(atoms) == 32
    assert atoms.get_volume() == pytest.approx(4 * 5.43**3)
    assert set(coordination(atoms, 2.7)) == {4}
    with pytest.raises(ValueError, match="layers must be a multiple of 2"):
        Bulk("Si", miller=[1, 0, 0], layers=3)({}, None)


def test_where_a_crystal_comes_from(tmp_path):
    made = {"mine": [bulk("Ag")]}
    path = tmp_path / "gold.cif"
    bulk("Au", cubic=True).write(path)
    assert Bulk("mine", [1, 1, 2])(made, None)[0].get_chemical_formula() == "Ag2"
    assert Bulk(str(path))(made, None)[0].get_chemical_formula() == "Au4"
    assert Given("mine")(made, None)[0] == made["mine"][0]
    assert Bulk("MgO", structure="rocksalt", a=4.21)(made, None)[0].get_chemical_formula() == "Mg4O4"
    for of, words in (("mime", "did you mean 'mine'"), ("MgO", "structure = 'rocksalt'")):
        with pytest.raises(ValueError, match=words):
            (Given(of) if of == "mime" else Bulk(of))(made, None)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"miller": [0, 0, 0]}, "not all zero"),
        ({"layers": 0}, "one layer or more"),
        ({"frozen": 9}, "0 to 6 frozen"),
        ({"passivate": "Hx"}, "not a chemical symbol"),
    ],
)
def test_bad_slabs_are_one_sentence(change, words):
    with pytest.raises(ValueError, match=words):
        build({"Slab": {"of": "Si", "miller": [1, 0, 0]} | change}, Generator)({}, None)
