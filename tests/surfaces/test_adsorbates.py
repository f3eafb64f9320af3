"""Molecules on sites: they touch, do not overlap, and come once each by symmetry."""

import numpy as np
import pytest
from ase.build import bulk
from ase.cluster import Icosahedron
from ase.data import covalent_radii
from ase.geometry import get_distances
from ase.io import read, write

from adlayer.surfaces import Adsorbates, Overlayers, slab
from adlayer.surfaces.actions import Action
from adlayer.surfaces.adsorbates import least_distance
from adlayer.surfaces.decorations import count_decorations, decorations, ways
from adlayer.surfaces.sites import adsorption_sites
from adlayer.surfaces.wood import matrix, supercell

PT, CU = bulk("Pt", cubic=True), bulk("Cu", cubic=True)
MADE = {
    "pt": [slab(PT, [1, 1, 1], layers=4, frozen=2)],
    "pt2": [slab(PT, [1, 1, 1], layers=4, repeat=(2, 2), frozen=2)],
    "pt3": [slab(PT, [1, 1, 1], layers=4, repeat=(3, 3), frozen=2)],
    "cu": [slab(CU, [1, 0, 0], layers=4, frozen=2)],
    "cu3": [slab(CU, [1, 0, 0], layers=3, repeat=(3, 3))],
    "step": [slab(PT, [2, 1, 1], layers=9, repeat=(1, 2))],
    "ico": [Icosahedron("Cu", 3)],
}


def on(name, adsorbate, **settings):
    return Adsorbates(name, adsorbate, **settings)(MADE, None)


def gaps(frame):
    """Of every adsorbed atom the distance to the nearest surface atom, over the sum of their covalent radii."""
    up = frame.arrays["adsorbate"] > 0
    r = covalent_radii[frame.numbers]
    _, d = get_distances(frame.positions[up], frame.positions[~up], cell=frame.cell, pbc=frame.pbc)
    return (d / (r[up][:, None] + r[~up])).min(1)


@pytest.mark.parametrize("name, number", [("pt2", 4), ("step", 14), ("ico", 6)])
def test_one_of_each_site_and_it_touches(name, number):
    frames = on(name, "CO", binding="C")
    assert len(frames) == number
    assert sum(f.info["degeneracy"] for f in frames) == len(adsorption_sites(MADE[name][0]))
    for frame in frames:
        carbon, oxygen = gaps(frame)[np.argsort(frame.numbers[frame.arrays["adsorbate"] > 0])]
        assert carbon == pytest.approx(1.0)
        assert oxygen > 1.25
        assert frame.info["adsorbates"] == "CO"
        assert frame.info["pattern"] == f"CO on {frame.info['sites']}"
        assert len(frame) == len(MADE[name][0]) + 2


def test_turns_that_symmetry_makes_the_same_are_one():
    """Upright water has two mirror planes, a top site three: two of twelve turns differ. Tilted it has one."""
    upright = on("pt2", "H2O", sites="top")
    assert len(upright) == 2
    assert [f.info["degeneracy"] for f in upright] == [12, 12]
    tilted = on("pt2", "H2O", sites="top", tilts=[60])
    action = Action(MADE["pt2"][0], flip=False)
    waters = [f[f.arrays["adsorbate"] > 0] for f in tilted]
    assert not any(action.same(a, b) for k, a in enumerate(waters) for b in waters[:k])
    assert sum(f.info["degeneracy"] for f in tilted) == 12 * 4  # all turns on all sites
    sideways = on("pt2", "H2O", sites="top", tilts=[90], rolls=[90])
    assert all(np.ptp(f.positions[-3:, 2]) < 1e-6 for f in sideways)  # it lies flat
    assert len(on("pt2", "CO", binding="C", sites="top", tilts=[0, 20])) == 1 + 3


def test_heights_flat_molecules_and_two_feet():
    (frame,) = on("pt2", "O", sites="fcc", height=1.2)
    assert frame.positions[-1, 2] - MADE["pt2"][0].positions[:, 2].max() == pytest.approx(1.2)
    benzene = on("pt3", "C6H6", binding="flat", sites=["fcc", "hcp"])
    assert len(benzene) == 4  # two turns on each
    assert all(np.ptp(f.positions[-12:, 2]) < 1e-6 for f in benzene)
    assert gaps(benzene[0]).min() == pytest.approx(1.25)
    (acid,) = on("cu3", "HCOOH", binding=["O", "O"], sites="top")
    oxygen = acid[acid.symbols == "O"]
    assert np.ptp(oxygen.positions[:, 2]) < 1e-6
    assert acid[acid.symbols == "C"].positions[0, 2] > oxygen.positions[0, 2]
    assert acid.info["sites"] == "top Cu8 + top Cu8"


def test_a_second_adsorbate_sees_the_first():
    """On 2x2 with one fcc site taken: three fcc sites are left, one by symmetry; of four tops there are two kinds."""
    made = MADE | {"one": on("pt2", "H", sites="fcc")}
    two = Adsorbates("one", "H", sites=["top", "fcc"], apart=0.5)(made, None)
    assert [f.info["sites"].split(", ")[1].split()[0] for f in two] == ["top", "top", "fcc"]
    assert [f.info["degeneracy"] for f in two] == [1, 3, 3] or [f.info["degeneracy"] for f in two] == [3, 1, 3]
    assert two[0].info["adsorbates"] == "H H"
    assert two[0].arrays["adsorbate"].max() == 2


def test_frames_keep_their_marks_in_a_file(tmp_path):
    frame = on("pt2", "CO", binding="C")[0]
    write(tmp_path / "x.extxyz", frame)
    again = read(tmp_path / "x.extxyz")
    assert not {"charge", "spin", "multiplicity"} & set(again.info)  # which readers take for those of electrons
    assert (again.arrays["adsorbate"] == frame.arrays["adsorbate"]).all()
    assert again.info["adsorbates"] == "CO"
    assert again.info["sites"] == frame.info["sites"]


@pytest.mark.parametrize(
    "name, size", [("p(2x2)", 4), ("c(2x2)", 2), ("(√3x√3)R30", 3), ("p(sqrt7 x sqrt7)R19.1", 7), ("(2√3×2√3)R30°", 12)]
)
def test_named_cells(name, size):
    slabs = MADE["cu" if name[0] == "c" else "pt"]
    wide = supercell(slabs[0], name)
    assert len(wide) == size * len(slabs[0])
    assert wide.cell[0, 1] == pytest.approx(0)
    assert wide.cell[2, :2] == pytest.approx(0)
    assert len(wide.constraints[0].index) == len(wide) // 2
    assert sorted(wide.get_tags()) == sorted(size * slabs[0].get_tags().tolist())
    assert len(Action(wide, flip=False)) == size * {"c": 8}.get(name[0], 3 if "7" in name else 6)


def test_decorations_are_counted_by_burnside():
    """Bracelets of 8 beads, 4 of them black: 8 (OEIS A052307); enumerated, each with all those it stands for."""
    ring = np.arange(8)
    dihedral = np.array([(s * ring + t) % 8 for s in (1, -1) for t in ring])
    assert [count_decorations(dihedral, [k]) for k in range(9)] == [1, 1, 4, 5, 8, 5, 4, 1, 1]
    for counts in ([4], [2, 1], [1, 1, 2]):
        found = decorations(
            dihedral, counts, [ring >= 0] * len(counts), ~np.eye(8, dtype=bool), np.random.default_rng(0)
        )
        assert len(found.sites) == count_decorations(dihedral, counts)
        assert found.complete
        assert found.multiplicities.sum() == ways(8, counts)
    apart = abs((ring[:, None] - ring + 4) % 8 - 4) > 1  # no two neighbors: 4 of 8 in two ways that are one
    only = decorations(dihedral, [4], [ring >= 0], apart, np.random.default_rng(0))
    assert len(only.sites) == 1
    assert only.multiplicities.tolist() == [2]


def test_overlayers_of_a_larger_cell():
    """A quarter of the 16 fcc sites of a 4x4 cell: 1820 ways, 29 of them different under the 96 operations of p3m1."""
    cell = [[4, 0], [0, 4]]
    frames = Overlayers("pt", {"O": 0.25}, cell, "fcc")(MADE, np.random.default_rng(0))
    assert len(frames) == 29
    assert sum(f.info["degeneracy"] for f in frames) == 1820
    assert all((f.arrays["adsorbate"] > 0).sum() == 4 for f in frames)
    far = Overlayers("pt", {"O": 0.25}, cell, "fcc", apart=5.0)(MADE, np.random.default_rng(0))
    (best,) = [f for f in frames if least_distance(f) > 5.0]
    assert len(far) == 1
    assert far[0].info["degeneracy"] == best.info["degeneracy"] == 4
    drawn = Overlayers("pt", {"O": 0.25}, cell, n=5)(MADE, np.random.default_rng(0))
    assert len(drawn) <= 5
    assert min(map(least_distance, drawn)) >= 2.0


def test_named_patterns_and_coadsorption():
    (frame,) = Overlayers("pt", {"O": 1 / 3}, "(√3x√3)R30", "fcc")(MADE, np.random.default_rng(0))
    assert least_distance(frame) > 4.7
    assert frame.info["pattern"] == "(√3x√3)R30 0.333 ML O 1"
    both = Overlayers(
        "pt", {"O": 0.25, "CO": 0.25}, "p(2x2)", {"O": "fcc", "CO": ["top", "hcp"]}, {"CO": "C"}, apart=2.5
    )(MADE, np.random.default_rng(0))
    assert [f.info["adsorbates"] for f in both] == ["O CO"] * len(both)
    assert sorted(f.info["sites"].split(", ")[1] for f in both) == ["hcp 3Pt9", "top Pt9"]
    particle = Overlayers("ico", {"H": 2 / 42}, sites="top Cu6")(MADE, np.random.default_rng(0))
    assert sorted(f.info["degeneracy"] for f in particle) == [6, 30, 30]  # pairs of vertices: para, meta, ortho


@pytest.mark.parametrize(
    "part, message",
    [
        (Adsorbates("pt2", "H2OO"), "'H2OO' is no molecule that is known.*did you mean 'H2O'"),
        (Adsorbates("pt2", "CO"), "CO has 2 atoms: which one binds"),
        (Adsorbates("pt2", "CO", binding=2), "CO has atoms 0 to 1, so atom 2 cannot bind"),
        (Adsorbates("pt2", "CO", binding="N"), "CO has no atom 'N' to bind"),
        (Adsorbates("pt2", "CO", binding=[0, 0]), "two different ones"),
        (Adsorbates("pt2", "O", sites="fccc"), "no site 'fccc'; did you mean 'fcc'"),
        (Adsorbates("pt2", "C6H6", binding="flat"), "repeat the cell or take a smaller `apart`"),
        (Adsorbates("ptt", "O"), "neither a file nor made before; did you mean 'pt"),
        (Overlayers("pt", {"O": 0.3}, "p(2x2)"), "1.2 adsorbates on 4 surface cells.*0.25 ML is reachable"),
        (Overlayers("pt", {"O": 1.0}, "p(2x2)", "fcc", apart=3.0), "cannot be reached in this cell"),
        (Overlayers("pt", {"O": 0.25}, "q(2x2)"), "no surface cell in Wood's notation"),
        (Overlayers("pt", {"O": 0.25}, "(√3x√3)R15"), "does not fit the lattice of this surface"),
        (Overlayers("ico", {"O": 1 / 42}, "p(2x2)"), "periodic along its first two vectors only"),
    ],
)
def test_what_cannot_be_placed(part, message):
    with pytest.raises(ValueError, match=message):
        part(MADE, np.random.default_rng(0))


def test_what_is_no_coverage():
    with pytest.raises(ValueError, match="monolayers above 0"):
        Overlayers("pt", {"O": 0})
    with pytest.raises(ValueError, match="'C' has no coverage"):
        Overlayers("pt", {"CO": 0.25}, binding={"C": 0})
    with pytest.raises(ValueError, match="two rows of two whole numbers"):
        matrix(MADE["pt"][0], [[2, 0], [4, 0]])
