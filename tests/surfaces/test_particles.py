"""Particles: magic numbers, point groups and orbits, equilibrium shapes against exact polyhedra, alloys."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc100, fcc111, molecule
from ase.spacegroup import crystal

from adlayer.config import build
from adlayer.surfaces import (
    Alloy,
    Decahedron,
    Generator,
    Icosahedron,
    Octahedron,
    RandomParticle,
    Winterbottom,
    Wulff,
    alloy,
    orbits,
    point_group,
    symmetries,
    wulff_particle,
    wulff_shape,
)
from adlayer.surfaces.alloys import depths
from adlayer.surfaces.contacts import bonds, pairs

CUBIC = bulk("Cu", cubic=True)


@pytest.mark.parametrize(
    "of, atoms, group",
    [
        (Icosahedron("Au", 1), 13, "Ih"),
        (Icosahedron("Fe", 2), 55, "Ih"),
        (Icosahedron("Au", 3), 147, "Ih"),
        (Icosahedron("Au", 4), 309, "Ih"),
        (Decahedron("Au", 2, 2), 13, "D5h"),
        (Decahedron("Au", 2, 2, 1), 75, "D5h"),
        (Decahedron("Au", 2, 3, 1), 101, "D5h"),
        (Decahedron("Au", 3, 2, 1), 146, "D5h"),
        (Octahedron("Au", 3), 19, "Oh"),
        (Octahedron("Au", 4, 1), 38, "Oh"),
        (Octahedron("Au", 7, 2), 201, "Oh"),
        (Octahedron("Au", 7, 3), 147, "Oh"),
    ],
)
def test_magic_numbers_and_their_groups(of, atoms, group):
    (particle,) = of({}, None)
    assert len(particle) == atoms
    assert point_group(particle) == group
    assert not particle.pbc.any()
    assert particle.cell.rank == 0


@pytest.mark.parametrize(
    "name, group",
    [("H2O", "C2v"), ("NH3", "C3v"), ("CH4", "Td"), ("C6H6", "D6h"), ("C2H6", "D3d"), ("H2O2", "C2"), ("CH3OH", "Cs")]
    + [("C2H4", "D2h"), ("C3H4_D2d", "D2d"), ("BF3", "D3h"), ("CO2", "D∞h"), ("CO", "C∞v"), ("trans-butane", "C2h")],
)
def test_point_groups_of_molecules(name, group, rng):
    turned = molecule(name)
    turned.rotate(rng.uniform(0, 360), rng.normal(size=3))
    assert point_group(turned) == group


def test_orbits_of_particles():
    (icosahedron,) = Icosahedron("Pt", 2)({}, None)
    assert np.bincount(orbits(icosahedron)).tolist() == [1, 12, 30, 12]
    assert np.bincount(orbits(Octahedron("Pt", 4, 1)({}, None)[0])).tolist() == [6, 8, 24]
    mixed = icosahedron[np.random.default_rng(0).permutation(55)]
    assert np.bincount(orbits(mixed)).tolist() == [1, 12, 30, 12]
    mixed.symbols[np.flatnonzero(orbits(mixed) == 3)[0]] = "Ni"
    assert np.bincount(orbits(mixed)).max() == 10  # five-fold symmetry is left
    assert np.bincount(orbits(mixed, elements=False)).tolist() == [1, 12, 30, 12]
    with pytest.raises(ValueError, match="asked of a particle"):
        point_group(CUBIC)
    with pytest.raises(ValueError, match="without atoms"):
        orbits(Atoms())


@pytest.mark.parametrize(
    "atoms, operations, sizes",
    [
        (bulk("Cu", cubic=True) * (2, 2, 1), 48, [16]),
        (bulk("Si"), 48, [2]),
        (bulk("Ru"), 24, [2]),
        (bulk("ZnS", "zincblende", a=5.4), 24, [1, 1]),
        (fcc111("Cu", (1, 3, 5), vacuum=5.0), 12, [6, 6, 3]),
        (fcc100("Cu", (2, 2, 4), vacuum=5.0), 16, [8, 8]),
    ],
)
def test_symmetry_of_crystals_and_slabs(atoms, operations, sizes):
    """Supercells and odd repeats do not hide it; a slab's layers are in the order of their depth."""
    if atoms.cell[2, 2] > 13:
        atoms.pbc = (True, True, False)
    found, site = symmetries(atoms)
    assert len(found) == operations
    assert site.max() + 1 == len(found[0].image)
    label = orbits(atoms)
    assert np.bincount(label).tolist() == sizes
    if not atoms.pbc[2]:
        assert label[atoms.positions[:, 2].argmax()] == 0
        assert label[atoms.positions[:, 2].argmin()] == 0


OXIDES = [
    (["Ti", "O"], [(0, 0, 0), (0.305, 0.305, 0)], 136, [4.594, 4.594, 2.959, 90, 90, 90], 16, 6),
    (["Ti", "O"], [(0, 0, 0), (0, 0, 0.208)], 141, [3.785, 3.785, 9.514, 90, 90, 90], 16, 6),
    (["Al", "O"], [(0, 0, 0.352), (0.306, 0, 0.25)], 167, [4.76, 4.76, 12.99, 90, 90, 120], 12, 10),
    (["Si", "O"], [(0.4697, 0, 1 / 3), (0.4135, 0.2669, 0.2144)], 152, [4.916, 4.916, 5.405, 90, 90, 120], 6, 9),
    (["Fe", "S"], [(0, 0, 0), (0.385, 0.385, 0.385)], 205, [5.42, 5.42, 5.42, 90, 90, 90], 24, 12),
    (["Zr", "O"], [(0.275, 0.04, 0.208), (0.07, 0.33, 0.345)], 14, [5.15, 5.21, 5.31, 90, 99.2, 90], 4, 8),
]


@pytest.mark.parametrize("symbols, basis, number, cellpar, operations, sites", OXIDES)
def test_space_groups(symbols, basis, number, cellpar, operations, sites):
    """As many operations and sites in the primitive cell as spglib finds (rutile, anatase, corundum, quartz, ...)."""
    atoms = crystal(symbols, basis, spacegroup=number, cellpar=cellpar) * (1, 2, 1)
    found, site = symmetries(atoms, 0.05)
    assert (len(found), site.max() + 1) == (operations, sites)
    assert len(set(orbits(atoms, 0.05))) == 2


def test_an_adsorbate_lowers_the_symmetry():
    slab = fcc111("Cu", (3, 3, 3), vacuum=5.0)
    slab.pbc = (True, True, False)
    slab += Atoms("O", [slab.positions[-1] + [0, 0, 1.9]])
    assert len(symmetries(slab)[0]) == 6
    assert np.bincount(orbits(slab)).tolist()[:2] == [1, 1]  # the oxygen, the atom below it


def test_wulff_shape_against_the_exact_polyhedron():
    """Octahedron |x| + |y| + |z| <= √3 γ111 with its corners cut at γ100."""
    d = 3**0.5
    for g in (0.9, 1.0, 1.1):
        shape = wulff_shape(CUBIC, {"111": 1.0, "100": g})
        h = d - g  # height of each pyramid that is cut off
        squares, triangles = 6 * 2 * h**2, 8 * 3**0.5 / 2 * (d**2 - 3 * h**2)  # pyramids do not meet while 2 g > √3
        assert shape.volume == pytest.approx(4 / 3 * d**3 - squares * h / 3)
        assert shape.areas.sum() == pytest.approx(squares + triangles)
        assert shape.fractions["100"] == pytest.approx(squares / (squares + triangles))


def test_winterbottom_after_kaichew():
    """``Δh / h = W / γ``: the height above the support falls by as much as the work of adhesion."""
    energies = {"111": 1.0, "100": 1.15}
    free = wulff_shape(CUBIC, energies)
    assert free.height([1, 1, 1]) == pytest.approx(2.0)
    for W in (0.3, 1.0, 1.7):
        shape = wulff_shape(CUBIC, energies, [1, 1, 1], W)
        assert shape.height([1, 1, 1]) == pytest.approx(2.0 - W)
        assert shape.volume < free.volume
    assert wulff_shape(CUBIC, energies, "111", 1.0).fractions["contact"] > 0.2
    (particle,) = Winterbottom("Pt", energies, [1, 1, 1], 1.0, 200)({}, None)
    heights, counts = np.unique(particle.positions[:, 2].round(3), return_counts=True)
    assert heights[0] == 0
    assert counts[0] == counts.max()
    assert np.allclose(np.diff(heights), 3.92 / 3**0.5, atol=1e-3)
    assert len(particle) == pytest.approx(200, rel=0.1)


@pytest.mark.parametrize("n", [13, 38, 79, 201, 586])
def test_wulff_particles_have_magic_numbers(n):
    particle = wulff_particle(CUBIC, {"111": 1.0, "100": 2 / 3**0.5}, n)
    assert len(particle) == n
    assert point_group(particle) == "Oh"


def test_wulff_particles_of_any_crystal():
    (iron,) = Wulff("Fe", {"110": 1.0, "100": 1.05}, 250)({}, None)
    assert len(iron) == pytest.approx(250, rel=0.1)
    (oxide,) = Wulff("MgO", {"100": 1.0}, 216, stoichiometric=True, structure="rocksalt", a=4.21)({}, None)
    assert oxide.get_chemical_formula() == "Mg108O108"
    assert set(np.bincount(pairs(oxide, 2.3)[0])) == {3, 4, 5, 6}  # a cube of 6 x 6 x 6
    polar = wulff_shape(bulk("ZnS", "zincblende", a=5.4, cubic=True), {"111": 1.0, "-1-1-1": 1.5})
    assert polar.fractions["111"] > polar.fractions["-1-1-1"]
    hexagonal = wulff_shape(bulk("Ru"), {"0001": 1.0, "10-10": 1.1})
    assert hexagonal.areas.size == 8
    assert hexagonal.height([0, 0, 1]) == pytest.approx(2.0)


def test_random_particles_keep_their_distance(rng):
    for formula, closest in (("Au38", 0.85 * 2.72), ("Pt13Ni42", 0.85 * 2 * 1.24), ("Au2", 0.85 * 2.72)):
        (particle,) = RandomParticle(formula)({}, rng)
        assert particle.symbols.formula.count() == Atoms(formula).symbols.formula.count()
        assert np.linalg.norm(pairs(particle, 6.0)[2], axis=1).min() >= closest - 1e-9


def like(atoms):
    i, j, _ = bonds(atoms)
    return np.mean(atoms.numbers[i] == atoms.numbers[j])


def test_orderings_of_a_nanoalloy(rng):
    (frame,) = Icosahedron("Pt", 2)({}, None)
    made = {"frame": [frame]}
    orderings = ["random", "core-shell", "janus", "ordered", "symmetric"]
    found = dict(zip(orderings, Alloy("frame", {"Pt": 13, "Ni": 42}, orderings)(made, rng)))
    assert all(a.get_chemical_formula() == "Ni42Pt13" for a in found.values())
    radius = np.linalg.norm(frame.positions, axis=1)
    core = found["core-shell"].symbols == "Pt"
    assert radius[core].max() < radius[~core].min()
    assert depths(frame).tolist() == [2] + 12 * [1] + 42 * [0]
    assert like(found["ordered"]) < like(found["random"]) < like(found["janus"])
    assert np.bincount(orbits(found["symmetric"])).tolist() == [1, 12, 30, 12]
    center = [found["janus"][found["janus"].symbols == s].positions.mean(0) for s in ("Pt", "Ni")]
    assert np.linalg.norm(center[0] - center[1]) > 4.0
    shrunk = np.linalg.norm(bonds(found["random"])[2], axis=1).min() / np.linalg.norm(bonds(frame)[2], axis=1).min()
    assert shrunk == pytest.approx((13 * 3.92 + 42 * 3.52) / 55 / 3.92, abs=2e-3)


def test_ordered_alloys_of_a_crystal(rng):
    """The least number of bonds between like atoms is L1_2 for Cu3Au, and planes in turn are L1_0."""
    cell = bulk("Cu", cubic=True) * (2, 2, 2)
    gold = alloy(cell, {"Cu": 0.75, "Au": 0.25}, "ordered", rng)
    i, j, _ = bonds(gold, 1.1)
    assert not np.any((gold.symbols[i] == "Au") & (gold.symbols[j] == "Au"))
    assert gold.cell.lengths() == pytest.approx(3 * [2 * (0.75 * 3.61 + 0.25 * 4.08)], abs=0.01)
    planes = alloy(cell, {"Pt": 0.5, "Fe": 0.5}, "layered", rng, fit_size=False)
    z = planes.positions[:, 2].round(3)
    assert all(len(set(planes.numbers[z == height])) == 1 for height in set(z))


@pytest.mark.parametrize(
    "spec, words",
    [
        ({"Wulff": {"of": "Cu", "energies": {"111": -1.0}, "atoms": 50}}, "must be positive"),
        ({"Wulff": {"of": "Ru", "energies": {"0001": 1.0}, "atoms": 50}}, "do not close a body"),
        ({"Wulff": {"of": "Cu", "energies": {"11": 1.0}, "atoms": 50}}, "Miller indices are like"),
        ({"Wulff": {"of": "MgO", "structure": "rocksalt", "a": 4.2, "energies": {"100": 1.0}, "atoms": 27}}, None),
        (
            {"Winterbottom": {"of": "Cu", "energies": {"111": 1.0}, "contact": [1, 1, 1], "adhesion": 2.5, "atoms": 9}},
            "wets the support",
        ),
        (
            {"Winterbottom": {"of": "Cu", "energies": {"111": 1.0}, "contact": [1, 0, 0], "adhesion": 0.5, "atoms": 9}},
            "needs its surface energy",
        ),
        ({"Icosahedron": {"of": "Xy", "shells": 2}}, "not a chemical symbol"),
        ({"Octahedron": {"of": "Au", "length": 4, "cut": 2}}, "less than half"),
        ({"RandomParticle": {"of": "Au38", "filling": 0.9}}, "up to about 0.6"),
        ({"Alloy": {"of": "x", "composition": {"Pt": 1.0}, "orderings": ["core-shel"]}}, "did you mean 'core-shell'"),
    ],
)
def test_bad_particles_are_one_sentence(spec, words):
    if words is None:
        with pytest.raises(ValueError, match="no particle of the crystal's composition"):
            build({"Wulff": spec["Wulff"] | {"stoichiometric": True, "tolerance": 0.01}}, Generator)({}, None)
        return
    with pytest.raises(ValueError, match=words):
        build(spec, Generator)({"x": [CUBIC]}, np.random.default_rng(0))


def test_bad_compositions_are_one_sentence(rng):
    (frame,) = Icosahedron("Pt", 1)({}, None)
    for composition, words in (
        ({"Pt": 5, "Ni": 5}, "adds up to 1, or to the 13"),
        ({}, "names elements"),
        ({"Q": 1}, "Q"),
    ):
        with pytest.raises(ValueError, match=words):
            alloy(frame, composition, "random", rng)
    with pytest.raises(ValueError, match="no surface"):
        alloy(CUBIC, {"Cu": 0.5, "Au": 0.5}, "core-shell", rng)
