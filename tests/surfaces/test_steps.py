"""Vicinal surfaces by the names the field gives them; adatoms, islands, pits, kinks."""

import numpy as np
import pytest
from ase.build import bulk, fcc211
from ase.neighborlist import neighbor_list

from adlayer.surfaces import Adatoms, Kinks, Slab, Vacancies, Vicinal, slab, vicinal
from adlayer.surfaces.defects import grown
from adlayer.surfaces.steps import staircase

PT = bulk("Pt", cubic=True)  # 3.92 Å


def coordination(atoms, cutoff=3.1):
    return np.bincount(neighbor_list("i", atoms, cutoff), minlength=len(atoms))


@pytest.mark.parametrize(
    "terrace, step, rows, miller",
    [
        ([1, 1, 1], [1, 0, 0], 16, (17, 15, 15)),  # n (111) x (100) is (n+1 n-1 n-1)
        ([1, 1, 1], [1, 0, 0], 6, (7, 5, 5)),
        ([1, 1, 1], [1, 0, 0], 3, (2, 1, 1)),
        ([1, 1, 1], [1, 1, -1], 5, (5, 5, 3)),  # n (111) x (11-1) is (n n n-2)
        ([1, 0, 0], [1, 1, 1], 5, (9, 1, 1)),  # n (100) x (111) is (2n-1 1 1)
        ([1, 0, 0], [1, 1, 0], 4, (4, 1, 0)),
    ],
)
def test_names_of_stepped_surfaces(terrace, step, rows, miller):
    assert staircase(PT, terrace, step, rows).miller == miller


def test_platinum_17_15_15():
    """p(2x12): 24 cells of 63 atoms; of each terrace's 16 rows the edge has 7 neighbors, the foot 10, the rest 9."""
    atoms = vicinal(PT, [1, 1, 1], [1, 0, 0], rows=16, layers=4, repeat=[12, 2], frozen=1)
    width = (15 + 2 / 3) * 3.92 * np.sqrt(3 / 8)  # rows 2.4 Å apart; over a (100) step they are a third nearer
    assert atoms.info["miller"] == [17, 15, 15]
    assert atoms.info["width"] == pytest.approx(width)
    assert atoms.info["height"] == pytest.approx(3.92 / np.sqrt(3))
    assert np.tan(np.radians(atoms.info["angle"])) == pytest.approx(atoms.info["height"] / width)
    assert len(atoms) == 24 * 63
    assert np.linalg.norm(atoms.cell[0]) == pytest.approx(12 * 3.92 / np.sqrt(2))
    assert np.linalg.norm(np.cross(atoms.cell[0], atoms.cell[1])) == pytest.approx(24 * 3.92**2 / 4 * np.sqrt(739))
    upper = atoms.positions[:, 2] > atoms.positions[:, 2].mean()
    bonds = np.bincount(coordination(atoms)[upper], minlength=13) / 24
    assert bonds[7:11].tolist() == [1, 0, 14, 1]
    tags = atoms.get_tags()
    assert set(tags) == {1, 2, 3, 4}
    assert set(coordination(atoms)[(tags == 2) | (tags == 3)]) <= {10, 12}
    assert atoms.constraints[0].index.tolist() == np.flatnonzero(tags == 4).tolist()


def test_same_steps_as_ase_builds():
    theirs = fcc211("Pt", (3, 1, 4), a=3.92)
    ours = vicinal(PT, rows=3, layers=4)
    area = [np.linalg.norm(np.cross(a.cell[0], a.cell[1])) for a in (ours, theirs)]
    assert area[0] == pytest.approx(area[1])
    assert sorted(coordination(ours))[:3] == [7, 7, 9]
    assert len(ours) * 3 == pytest.approx(len(theirs) * 3, abs=3)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"rows": 1}, "two rows of atoms or more"),
        ({"step": [1, 1, 1]}, "different planes"),
        ({"layers": 0}, "one layer or more"),
        ({"frozen": 5}, "0 to 4 frozen"),
        ({"step": [7, 5, 1]}, "no close-packed row|does not step down"),
    ],
)
def test_bad_steps_are_one_sentence(settings, words):
    with pytest.raises(ValueError, match=words):
        Vicinal("Pt", **settings)({}, None)


def test_steps_of_diamond_go_by_their_indices():
    with pytest.raises(ValueError, match=r"cut it by Slab with miller = \[7, 5, 5\]"):
        Vicinal("Si")({}, None)


@pytest.mark.parametrize("n, inner", [(1, []), (3, [5, 5, 5]), (7, [6, 6, 6, 6, 6, 6, 9])])
def test_islands_on_copper(n, inner):
    """A compact island of seven has one atom among six; all sit in hollows, and the frozen stay frozen."""
    made = {"slab": Slab("Cu", [1, 1, 1], layers=4, repeat=[5, 5], frozen=2)({}, None)}
    (atoms,) = Adatoms("slab", n, together=True)(made, None)
    assert len(atoms) == 100 + n
    bonds = sorted(coordination(atoms, 2.8)[atoms.get_tags() == 1].tolist())
    assert bonds == (inner or [3])
    assert atoms.constraints[0].index.tolist() == np.flatnonzero(atoms.get_tags() >= 4).tolist()
    z = atoms.positions[:, 2]
    assert atoms.cell[2, 2] - z.max() == pytest.approx(10.0)


@pytest.mark.parametrize("name, hkl", [("Si", [1, 1, 1]), ("Si", [1, 0, 0]), ("Cu", [1, 1, 0]), ("Cu", [2, 1, 1])])
def test_growing_is_cutting_thicker(name, hkl):
    """A slab grown by a layer is the slab cut a layer thicker, but for its place."""
    crystal = bulk(name, cubic=True)
    for termination in range(2 if hkl == [1, 1, 1] and name == "Si" else 1):
        thin = slab(crystal, hkl, layers=8, termination=termination, passivate="H" if name == "Si" else None)
        more = grown(thin)
        for _ in range(3):
            more = grown(more)
        assert set(np.bincount(more.get_tags())[1:12]) == {1}
        d = np.sort(more.get_all_distances(mic=True)[more.get_tags() == 6])
        assert np.allclose(d[0, 1], crystal.get_all_distances(mic=True)[0, 1:].min())
        inner = coordination(more, 1.2 * d[0, 1])[(more.get_tags() > 4) & (more.get_tags() < 8)]
        assert len(set(inner)) == 1
        assert set(inner) == {4 if name == "Si" else 12} or hkl == [2, 1, 1]


def test_adatoms_of_another_element_here_and_there(rng):
    made = {"slab": Slab("Cu", [1, 0, 0], layers=4, repeat=[4, 4])({}, None)}
    frames = Adatoms("slab", 3, element="Ag", frames=4)(made, rng)
    assert all(str(f[f.get_tags() == 1].symbols) == "Ag3" for f in frames)
    assert all(set(coordination(f, 2.8)[f.get_tags() == 1]) <= {4, 5, 6} for f in frames)
    assert len({tuple(f.positions[-3:].round(3).ravel()) for f in frames}) == 4
    again = Adatoms("slab", 3, element="Ag", frames=4)(made, np.random.default_rng(7))
    assert np.array_equal(again[2].positions, frames[2].positions)


def test_vacancies_and_pits(rng):
    made = {"slab": Slab("Cu", [1, 1, 1], layers=4, repeat=[5, 5], frozen=1)({}, None)}
    frames = Vacancies("slab", 2, frames=3)(made, rng)
    assert all(np.bincount(f.get_tags())[1:].tolist() == [23, 25, 25, 25] for f in frames)
    (pit,) = Vacancies("slab", 7, together=True)(made, None)
    assert np.sum(coordination(pit, 2.8)[pit.get_tags() == 2] == 12 - 3) == 3  # atoms at the pit's bottom lost three
    (deep,) = Vacancies("slab", 1, layer=3)(made, rng)
    assert np.bincount(coordination(deep, 2.8))[11] == 9  # six in its layer, three above; those below had nine
    assert len(deep.constraints[0].index) == 25


def test_kinks():
    """Two atoms gone from an edge of six: its ends have six neighbors, its middle seven as has the atom laid bare."""
    made = {"slab": Vicinal("Pt", rows=5, repeat=[6, 2], layers=3)({}, None)}
    (atoms,) = Kinks("slab", 2)(made, None)
    assert len(atoms) == len(made["slab"][0]) - 2
    bonds = coordination(atoms)[atoms.get_tags() == 1]
    assert np.sum(bonds == 6) == 2
    assert np.sum(bonds == 7) == 6 + 2 + 1


@pytest.mark.parametrize(
    "generator, words",
    [
        (Vacancies("slab", 5), "1 to 4 atoms are possible here, got 5"),
        (Vacancies("slab", layer=9), "layer 9 does not exist: the slab's layers are 1 to 4"),
        (Vacancies("slab", element="Ag"), "no such atom"),
        (Adatoms("slab", element="Xx"), "not a chemical symbol"),
        (Adatoms("thin"), "more than one repeat of the stacking"),
        (Kinks("slab"), "this surface has no steps"),
    ],
)
def test_bad_defects_are_one_sentence(generator, words, rng):
    copper = bulk("Cu", cubic=True)
    made = {"slab": [slab(copper, [1, 1, 1], layers=4, repeat=[2, 2])], "thin": [slab(copper, [1, 1, 1], layers=1)]}
    with pytest.raises(ValueError, match=words):
        generator(made, rng)
