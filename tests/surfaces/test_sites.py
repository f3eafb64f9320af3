"""Adsorption sites: known ones of flat, stepped and curved surfaces, Euler's formula, and what must not change them."""

import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bcc100, bcc110, bulk, diamond111, fcc100, fcc110, fcc111, graphene, hcp0001
from ase.cluster import Decahedron, Icosahedron, Octahedron
from ase.constraints import FixAtoms
from ase.io import read

from adlayer.analysis.anomalies import site_under
from adlayer.surfaces import adsorption_sites, slab
from adlayer.surfaces.exposed import exposed, without_vacuum
from adlayer.surfaces.sites import KINDS, choose, distinct


def found(atoms, **settings) -> dict[str, int]:
    return {s.label: s.multiplicity for s in distinct(adsorption_sites(atoms, **settings))}


FLAT = {
    "Cu 111": (fcc111("Cu", (1, 1, 4), vacuum=8), {"top Cu9": 1, "bridge 2Cu9": 3, "hcp 3Cu9": 1, "fcc 3Cu9": 1}),
    "Cu 100": (fcc100("Cu", (1, 1, 4), vacuum=8), {"top Cu8": 1, "bridge 2Cu8": 2, "4-fold 4Cu8": 1}),
    "Cu 110": (
        fcc110("Cu", (1, 1, 5), vacuum=8),
        {"top Cu7": 1, "bridge 2Cu7": 1, "long bridge 2Cu7": 1, "5-fold 4Cu7-Cu11": 1},
    ),
    "Fe 110": (
        bcc110("Fe", (1, 1, 4), vacuum=8),
        {"top Fe6": 1, "bridge 2Fe6": 2, "long bridge 2Fe6": 1, "hollow 3Fe6": 2},
    ),
    "Fe 100": (bcc100("Fe", (1, 1, 4), vacuum=8), {"top Fe4": 1, "bridge 2Fe4": 2, "4-fold 4Fe4": 1}),
    "Ru 001": (hcp0001("Ru", (1, 1, 4), vacuum=8), {"top Ru9": 1, "bridge 2Ru9": 3, "hcp 3Ru9": 1, "fcc 3Ru9": 1}),
}


@pytest.mark.parametrize("name", FLAT)
def test_flat_surfaces(name, reference):
    """By hand; as many as pymatgen finds, which counts a hollow between four atoms as a bridge."""
    atoms, known = FLAT[name]
    assert found(atoms) == known
    assert len(known) == sum(reference("adsorption_sites.json")[name].values())


def test_a_step_has_sites_of_its_own():
    """fcc(211): edge (7 bonds), terrace (9) and foot (10); the square of the step and the triangle below stay two."""
    step = slab(bulk("Pt", cubic=True), [2, 1, 1], layers=9)
    sites = {
        kind: {s.label: s.multiplicity for s in distinct(adsorption_sites(step)) if s.kind == kind} for kind in KINDS
    }
    assert sites["top"] == {"top Pt7": 1, "top Pt9": 1, "top Pt10": 1}
    once, twice = ("2Pt7", "2Pt9", "2Pt10", "Pt7-Pt10"), ("Pt7-Pt9", "Pt9-Pt10")
    assert sites["bridge"] == {f"bridge {x}": 1 for x in once} | {f"bridge {x}": 2 for x in twice}
    hollows = ("hcp 2Pt7-Pt9", "fcc Pt7-2Pt9", "hcp 2Pt9-Pt10", "fcc Pt9-2Pt10", "4-fold 2Pt7-2Pt10")
    assert sites["hollow"] == dict.fromkeys(hollows, 1)
    (edge,) = choose(adsorption_sites(step), "top Pt7")
    (flat,) = choose(adsorption_sites(step), "top Pt9")
    lean = np.degrees(np.arccos([edge.normal[2], flat.normal[2]]))
    assert lean[0] < 15  # away from the terrace, little
    assert abs(lean[1] - 19.5) < 8  # along the normal of (111), nearly


def test_particles():
    """Mackay's 55-atom icosahedron and the truncated octahedron of 38 atoms, by their geometry."""
    ico = {"top Cu8": 30, "top Cu6": 12, "bridge 2Cu8": 60, "bridge Cu6-Cu8": 60, "fcc 3Cu8": 20, "hcp Cu6-2Cu8": 60}
    assert found(Icosahedron("Cu", 3)) == ico
    assert found(Octahedron("Cu", 4, 1)) == {
        "top Cu9": 8,
        "top Cu6": 24,
        "bridge Cu6-Cu9": 48,
        "bridge 2Cu6 #1": 24,
        "bridge 2Cu6 #2": 12,
        "hcp 2Cu6-Cu9": 24,
        "fcc 2Cu6-Cu9": 24,
        "4-fold 4Cu6": 6,
    }


def shuffled(atoms, rng):
    """Turned, moved, its atoms in another order."""
    turned = Atoms(atoms)[rng.permutation(len(atoms))]
    turned.rotate(rng.uniform(0, 360), rng.normal(size=3))
    turned.translate(rng.normal(size=3))
    return turned


@pytest.mark.parametrize("atoms", [Icosahedron("Cu", 4), Octahedron("Cu", 7, 2), Decahedron("Cu", 3, 3, 0)], ids=len)
def test_euler_and_turned_particles(atoms, rng):
    sites = adsorption_sites(atoms)
    kinds = [s.kind for s in sites]
    assert kinds.count("top") - kinds.count("bridge") + kinds.count("hollow") == 2
    turned = adsorption_sites(shuffled(atoms, rng))
    assert sorted((s.label.split(" #")[0], s.multiplicity) for s in sites) == sorted(
        (s.label.split(" #")[0], s.multiplicity) for s in turned
    )
    out = [(s.position - atoms.positions.mean(0)) @ s.normal for s in sites]
    assert min(out) > 0
    assert np.allclose([np.linalg.norm(s.normal) for s in sites], 1)
    rough = atoms.copy()
    rough.rattle(0.03, rng=rng)
    assert [s.kind for s in adsorption_sites(rough)].count("top") == kinds.count("top")


def test_slabs_on_both_sides():
    atoms = slab(bulk("Cu", cubic=True), [2, 1, 1], layers=9)
    for side in ("top", "bottom"):
        kinds = [s.kind for s in adsorption_sites(atoms, sides=side)]
        assert kinds.count("top") - kinds.count("bridge") + kinds.count("hollow") == 0  # a torus
    one, both = found(atoms), found(atoms, sides="both")
    assert both == {label: 2 * n for label, n in one.items()}  # inversion turns one side into the other
    atoms.set_constraint(FixAtoms(mask=atoms.get_tags() > 5))
    held = adsorption_sites(atoms, sides="both")
    assert len(distinct(held)) == 2 * len(one)  # what is held below is another surface
    assert {s.contact.side for s in held} == {"top", "bottom"}


def test_larger_cells_and_periodic_vacuum_change_nothing():
    atoms = fcc111("Pt", (1, 1, 4), vacuum=8)
    once = found(atoms)
    assert found(atoms.repeat((2, 3, 1))) == {label: 6 * n for label, n in once.items()}
    atoms.pbc = True
    atoms.positions[:, 2] += 9.0
    atoms.wrap()  # through the boundary
    assert found(atoms) == once
    ico = Icosahedron("Cu", 3)
    ico.center(vacuum=6)
    ico.pbc = True
    assert found(ico) == found(Icosahedron("Cu", 3))


def test_a_smaller_ball_enters_troughs_and_a_larger_one_rolls_over():
    atoms = fcc110("Cu", (1, 1, 5), vacuum=8)
    small, large = found(atoms, probe=0.65), found(atoms, probe=1.6)
    assert {"fcc 2Cu7-Cu11", "bridge Cu7-Cu11", "top Cu11"} <= set(small)  # on the slopes
    assert list(large) == ["top Cu7", "bridge 2Cu7", "long bridge 2Cu7", "4-fold 4Cu7"]


def test_oxides_and_sheets():
    magnesia = slab(bulk("MgO", "rocksalt", a=4.21, cubic=True), [1, 0, 0], layers=4)
    assert {"top Mg5", "top O5", "bridge Mg5-O5"} <= set(found(magnesia))
    assert found(graphene("C2", vacuum=8)) == {"top C3": 2, "bridge 2C3": 3, "6-fold 6C3": 1}


def test_sites_of_published_structures(shared):
    """Adsorbates relaxed by DFT on metals and alloys, with the sites their authors name (see ``shared/data``)."""
    frames = read(shared / "data/adsorption-simple/simple_adsorbates_1422.extxyz.gz", ":700:14")
    names = {"bridge1": "bridge", "bridge2": "bridge", "bridge3": "bridge", "shortbridge": "bridge", "four": "4-fold"}
    wrong, n = [], 0
    for frame in frames:
        atoms = {"CH2": 3, "CH3": 4, "CO": 2, "OH": 2, "CH": 2}.get(frame.info["adsorbate"], 1)
        frame.set_array("adsorbate", np.arange(len(frame)) // (len(frame) - atoms))
        frame = without_vacuum(frame)
        sites = adsorption_sites(frame, sides="both")
        name = sites[site_under(frame, sites)[0]].name.removeprefix("long ")
        known = re.split("[-_]", frame.info["name"].split("_", 3)[-1])[0].removeprefix("long")
        same = {
            names.get(known, known),
            "4-fold" if known == "hollow" else "",
            "hollow" if known in ("fcc", "hcp") else "",
        }
        wrong += [] if name in same else [(frame.info["name"], name)]
        n += 1
    assert len(wrong) <= 0.03 * n, wrong


def test_what_has_no_surface():
    with pytest.raises(ValueError, match="fills space has no surface"):
        adsorption_sites(bulk("Cu"))
    with pytest.raises(ValueError, match="no three atoms to rest on"):
        adsorption_sites(Atoms("Cu2", [[0, 0, 0], [0, 0, 2.5]]))
    with pytest.raises(ValueError, match=r"passes through this slab.* larger"):
        exposed(diamond111("Si", (1, 1, 8), vacuum=8), probe=0.9)
    with pytest.raises(ValueError, match="radius above zero"):
        exposed(fcc111("Cu", (1, 1, 3), vacuum=8), probe=-1)
    with pytest.raises(ValueError, match="'top', 'bottom' or 'both', got 'topp'; did you mean 'top'"):
        adsorption_sites(fcc111("Cu", (1, 1, 3), vacuum=8), sides="topp")
