"""Slabs and bulk cells: atoms, layers, bonds, orientation, what saturates and what holds the bottom."""

import numpy as np
import pytest
from ase import Atoms
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


@pytest.mark.filterwarnings("ignore:.*Tasker type III")
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


def test_orthogonal_cells():
    """Rectangular where there is one: 1x√3 of (111), as ASE builds it; none for a plane of a triclinic crystal."""
    atoms = slab(bulk("Cu", cubic=True), [1, 1, 1], layers=4, orthogonal=True)
    theirs = fcc111("Cu", (1, 2, 4), orthogonal=True, a=3.61)
    assert np.allclose(atoms.cell.lengths()[:2], theirs.cell.lengths()[:2], rtol=1e-3)
    assert np.allclose(atoms.cell.angles(), 90)
    assert np.bincount(atoms.get_tags()).tolist() == [0, 2, 2, 2, 2]
    assert atoms.cell[0, 1] == pytest.approx(0, abs=1e-9)
    oblique = slab(bulk("Cu", cubic=True), [1, 1, 1], layers=4)
    bonds = [sorted(coordination(a, 2.8)) for a in (oblique * (2, 1, 1), atoms)]
    assert bonds[0] == bonds[1]
    assert len(slab(bulk("Si", cubic=True), [1, 1, 1], passivate="H", orthogonal=True)) == 2 * 7
    skew = Atoms("Cu", cell=[[2.5, 0, 0], [0.31, 2.7, 0], [0.2, 0.53, 2.9]], pbc=True)
    with pytest.raises(ValueError, match="leave it oblique"):
        slab(skew, [0, 0, 1], orthogonal=True)


def test_thickness_in_angstrom():
    for thickness, layers in ((5.5, 4), (6.2, 4), (6.3, 5)):  # Cu(111): 2.084 Å from layer to layer
        atoms = slab(bulk("Cu", cubic=True), [1, 1, 1], thickness=thickness)
        assert atoms.get_tags().max() == layers
        assert np.ptp(atoms.positions[:, 2]) >= thickness
    assert slab(bulk("Si", cubic=True), [1, 1, 1], thickness=3.2).get_tags().max() == 4  # 0.78 and 2.35 Å in turn


def test_vacuum_on_each_side():
    z = (atoms := slab(bulk("Cu", cubic=True), [1, 0, 0], vacuum=[2.0, 7.0])).positions[:, 2]
    assert z.min() == pytest.approx(2.0)
    assert atoms.cell[2, 2] - z.max() == pytest.approx(7.0)


@pytest.mark.parametrize("miller", [[1, 0, 0], [4, 3, 2], [101, 100, 98], [-3, 5, 1]])
@pytest.mark.parametrize("name", ["Si", "Mg"])
def test_any_plane(name, miller):
    """The area is that of the reciprocal vector, or more where planes repeat less often; inside is the crystal."""
    crystal = bulk(name, cubic=True) if name == "Si" else bulk(name)
    atoms = slab(crystal, miller, thickness=8.0)
    spacing = 1 / np.linalg.norm(crystal.cell.reciprocal().T @ miller)
    per_point = crystal.get_volume() / len(crystal) * 2
    area = np.linalg.norm(np.cross(atoms.cell[0], atoms.cell[1]))
    assert area * spacing / per_point in (pytest.approx(1), pytest.approx(2), pytest.approx(4))
    cutoff = {"Si": 2.5, "Mg": 3.3}[name]
    assert coordination(atoms, cutoff).max() == coordination(crystal, cutoff)[0]
    assert neighbor_list("d", atoms, cutoff).min() == pytest.approx(neighbor_list("d", crystal, cutoff).min())


def test_hexagonal_indices():
    magnesium = bulk("Mg")
    four, three = slab(magnesium, [1, 0, -1, 0], layers=4), slab(magnesium, [1, 0, 0], layers=4)
    assert np.allclose(four.positions, three.positions)
    with pytest.raises(ValueError, match="first three sum to zero"):
        slab(magnesium, [1, 0, 1, 0])


def test_a_crystal_must_be_periodic():
    with pytest.raises(ValueError, match="periodic in three directions"):
        slab(fcc111("Cu", (1, 1, 3), vacuum=5), [1, 0, 0])


@pytest.mark.parametrize(
    "change, words",
    [
        ({"vacuum": -1.0}, "zero or more on each side, got -1.0"),
        ({"vacuum": [5.0, -1.0]}, "zero or more on each side"),
        ({"repeat": [0, 1]}, "one or more each"),
        ({"repeat": [1, 1, 2]}, "two numbers of cells"),
        ({"thickness": -3.0}, "thickness is a length"),
        ({"gap": 0.0}, "gap is a length"),
        ({"miller": [1, 0.5, 0]}, "three integers"),
        ({"termination": 2}, "termination 2 does not exist: this cut has 2"),
        ({"passivate": "H", "bond": -1.0}, "bond is a length"),
        ({"passivate": "H", "sides": "top"}, "'bottom' or 'both'"),
    ],
)
def test_more_bad_slabs_are_one_sentence(change, words):
    with pytest.raises(ValueError, match=words):
        slab(bulk("Si", cubic=True), **{"miller": [1, 0, 0]} | change)
