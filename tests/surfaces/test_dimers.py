"""Dimers on Si(100): geometry as asked, and as GFN1-xTB relaxes it."""

import numpy as np
import pytest
from ase.build import fcc100
from ase.neighborlist import neighbor_list

from adlayer.analysis import find_dimers, tilts
from adlayer.surfaces import Dimers, Slab

SLAB = Slab("Si", [1, 0, 0], layers=6, repeat=[2, 2], passivate="H")


def patterns(*names, **settings):
    return Dimers("slab", list(names), **settings)({"slab": SLAB({}, None)}, None)


@pytest.mark.parametrize("name", ["p(2x1)", "b(2x1)", "p(2x2)", "c(4x2)"])
def test_every_top_atom_has_three_bonds(name):
    (atoms,) = patterns(name, tilt=18, length=2.4)
    assert len(atoms) == (64 if name == "c(4x2)" else 32)
    bonds = np.bincount(neighbor_list("i", atoms, 2.7), minlength=len(atoms))
    assert set(bonds[atoms.get_tags() == 1]) == {3}
    assert set(bonds[(atoms.get_tags() > 1) & (atoms.symbols == "Si")]) == {4}
    dimers = find_dimers(atoms)
    assert len(dimers) == len(atoms) // 16
    assert np.allclose(np.linalg.norm(dimers, axis=1), 2.4)
    assert np.allclose(abs(tilts(dimers)), 0 if name == "p(2x1)" else 18)
    bonds = neighbor_list("d", atoms, {("Si", "Si"): 2.7})
    assert np.allclose(bonds[abs(bonds - 2.4) > 1e-9], 5.43 * 3**0.5 / 4)  # all others are as in the crystal
    fixed = atoms.constraints[0].index
    assert set(atoms.get_tags()[fixed]) == {6, 7}
    assert len(fixed) == 12 * len(atoms) // 32


@pytest.mark.parametrize("name, alternating", [("b(2x1)", (1, 1)), ("p(2x2)", (1, -1)), ("c(4x2)", (-1, -1))])
def test_how_tilts_alternate(name, alternating):
    """Across rows, and along them."""
    (atoms,) = patterns(name)
    top = atoms[atoms.get_tags() == 1]
    i, _, D = neighbor_list("ijD", top, 2.7)
    axis = int(abs(D[0, :2]).argmax())
    along = D[:, axis] > 0
    middle, sign = top.positions[i[along]] + D[along] / 2, np.sign(D[along, 2])

    def neighbor(shift):
        moved = middle + shift
        delta = moved[:, None] - middle[None]
        fraction = delta @ np.linalg.inv(np.asarray(atoms.cell))
        delta = (fraction - np.round(fraction)) @ np.asarray(atoms.cell)
        return np.linalg.norm(delta[..., :2], axis=-1).argmin(1)

    a = 5.43 / np.sqrt(2)
    across_row, along_row = np.zeros(3), np.zeros(3)
    across_row[axis], along_row[1 - axis] = 2 * a, a
    assert np.all(sign[neighbor(across_row)] == alternating[0] * sign)
    assert np.all(sign[neighbor(along_row)] == alternating[1] * sign)


def test_common_cell_and_the_ideal_surface():
    frames = patterns("1x1", "p(2x2)", "c(4x2)", common=True)
    assert [len(f) for f in frames] == [64, 64, 64]
    assert [f.info["pattern"] for f in frames] == ["1x1", "p(2x2)", "c(4x2)"]
    assert not len(find_dimers(frames[0]))
    (ideal,) = patterns("1x1")
    assert np.allclose(ideal.positions, SLAB({}, None)[0].positions)


def test_wrong_surfaces_and_names():
    with pytest.raises(ValueError, match=r"no pattern 'p\(2x3\)'; did you mean"):
        Dimers("slab", ["p(2x3)"])
    copper = fcc100("Cu", (2, 2, 3), vacuum=5)
    with pytest.raises(ValueError, match=r"ideal \(100\) surface"):
        Dimers("slab", ["p(2x1)"])({"slab": [copper]}, None)


@pytest.mark.slow
def test_gfn1_prefers_tilted_dimers(tmp_path):
    """Gamma point, lattice constant 5.43 Å: p(2x2) 2.43 Å and 17.0°, 0.186 eV per dimer below p(2x1) at 2.405 Å."""
    pytest.importorskip("tblite")
    from adlayer.reference import ReferenceEvaluate, TBLite
    from adlayer.simulation import relax

    with ReferenceEvaluate(TBLite(), store=tmp_path) as evaluate:
        done = relax(evaluate, patterns("p(2x1)", "p(2x2)"), fmax=0.02, max_steps=100)
    assert done.finished.all()
    flat, tilted = (find_dimers(f) for f in done.frames)
    assert np.allclose(np.linalg.norm(flat, axis=1), 2.405, atol=0.01)
    assert np.allclose(tilts(flat), 0, atol=0.5)
    assert np.allclose(np.linalg.norm(tilted, axis=1), 2.43, atol=0.01)
    assert np.allclose(abs(tilts(tilted)), 17.0, atol=0.5)
    assert (done.prediction.energy[1] - done.prediction.energy[0]).item() / 2 == pytest.approx(-0.186, abs=0.01)
