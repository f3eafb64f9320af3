"""Terminations, symmetric slabs, polarity, and what saturates polar semiconductors, by known surfaces."""

import warnings

import numpy as np
import pytest
from ase.build import bulk
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal

from adlayer.surfaces import Slab, slab, symmetries, tasker, terminations
from adlayer.surfaces.cutting import oriented
from adlayer.surfaces.terminations import layer_images

pytestmark = pytest.mark.filterwarnings("ignore:.*Tasker type III")

SrTiO3 = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)]
CORUNDUM = {"spacegroup": 167, "cellpar": [4.759, 4.759, 12.991, 90, 90, 120]}
CRYSTALS = {
    "Cu": bulk("Cu", cubic=True, a=3.61),
    "Si": bulk("Si", cubic=True, a=5.43),
    "MgO": bulk("MgO", "rocksalt", a=4.2, cubic=True),
    "GaAs": bulk("GaAs", "zincblende", a=5.65, cubic=True),
    "CaF2": bulk("CaF2", "fluorite", a=5.46, cubic=True),
    "ZnO": bulk("ZnO", "wurtzite", a=3.25, c=5.2, u=0.382),
    "TiO2": crystal(
        ["Ti", "O"], [(0, 0, 0), (0.3053, 0.3053, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959] + 3 * [90]
    ),
    "SrTiO3": crystal(["Sr", "Ti", "O"], SrTiO3, spacegroup=221, cellpar=3 * [3.905] + 3 * [90]),
    "Al2O3": crystal(["Al", "O"], [(0, 0, 0.35216), (0.30624, 0, 0.25)], **CORUNDUM),
}


def test_as_many_stoichiometric_slabs_as_pymatgen(reference):
    """A cut lies above each layer; two are one if a symmetry turns one into the other, over or not."""
    for name, hkl, expected in reference("pymatgen_slabs.json"):
        cell = oriented(CRYSTALS[name], hkl)
        up, over = layer_images(cell), layer_images(cell, flip=True)
        cuts = {min(up[t] | {(image + 1) % len(up) for image in over[t]}) for t in range(len(up))}
        assert len(cuts) == expected, (name, hkl)


@pytest.mark.parametrize(
    "name, hkl, tops",
    [
        ("Si", [1, 0, 0], ["Si"]),
        ("Si", [1, 1, 1], ["Si", "Si"]),
        ("MgO", [1, 1, 1], ["Mg", "O"]),
        ("TiO2", [1, 1, 0], ["O", "O2Ti2", "O"]),
        ("SrTiO3", [1, 0, 0], ["OSr", "O2Ti"]),
        ("Al2O3", [0, 0, 0, 1], ["Al", "Al", "O3"]),
    ],
)
def test_all_terminations(name, hkl, tops):
    bulk = CRYSTALS[name]
    slabs = Slab("x", hkl, layers=6, termination="all")({"x": [bulk]}, None)
    assert sorted(s[s.get_tags() == 1].get_chemical_formula() for s in slabs) == sorted(tops)
    assert [s.info["termination"] for s in slabs] == terminations(bulk, hkl)
    assert len({s.info["pattern"] for s in slabs}) == len(slabs)


@pytest.mark.parametrize(
    "name, hkl, layers", [("MgO", [1, 1, 1], 7), ("GaAs", [1, 0, 0], 7), ("Si", [1, 0, 0], 6), ("SrTiO3", [1, 1, 0], 7)]
)
def test_symmetric_slabs(name, hkl, layers):
    """Some symmetry of the slab turns it over, and none of the slab with a layer less."""
    atoms = slab(CRYSTALS[name], hkl, layers=6, symmetric=True)
    assert atoms.get_tags().max() == layers
    assert any(operation.R[2, 2] < -0.9 for operation in symmetries(atoms)[0])
    if layers > 6:
        shorter = slab(CRYSTALS[name], hkl, layers=6)
        assert not any(operation.R[2, 2] < -0.9 for operation in symmetries(shorter)[0])
    with pytest.raises(ValueError, match="no slab of it has two equal sides"):
        slab(CRYSTALS["GaAs"], [1, 1, 1], symmetric=True)


@pytest.mark.parametrize(
    "name, hkl, types",
    [
        ("Cu", [1, 1, 1], {"Cu": "I"}),
        ("MgO", [1, 0, 0], {"MgO": "I"}),
        ("MgO", [1, 1, 1], {"Mg": "III", "O": "III"}),
        ("CaF2", [1, 1, 1], {"Ca": "III", "F": "II III"}),
        ("TiO2", [1, 1, 0], {"O": "II III", "O2Ti2": "III"}),
        ("SrTiO3", [1, 0, 0], {"OSr": "I", "O2Ti": "I"}),
        ("SrTiO3", [1, 1, 1], {"Ti": "III", "O3Sr": "III"}),
        ("ZnO", [0, 0, 1], {"Zn": "III", "O": "III"}),
        ("ZnO", [1, 0, 0], {"OZn": "I"}),
        ("GaAs", [1, 1, 0], {"AsGa": "I"}),
        ("GaAs", [1, 0, 0], {"Ga": "III", "As": "III"}),
        ("Al2O3", [0, 0, 1], {"Al": "II III", "O3": "III"}),
    ],
)
def test_tasker_types(name, hkl, types):
    found = {}
    for t in terminations(CRYSTALS[name], hkl):
        atoms = slab(CRYSTALS[name], hkl, layers=9, termination=t)
        top = atoms[atoms.get_tags() == 1].get_chemical_formula()
        found.setdefault(top, set()).add(tasker(atoms, CRYSTALS[name]).type)
    assert {top: " ".join(sorted(kinds)) for top, kinds in found.items()} == types


def test_polarity_is_said():
    """Formal charges of MgO(111): 2 e per (a²√3/4), planes a/(2√3) apart."""
    with pytest.warns(UserWarning, match=r"\(1 1 1\) of Mg4O4: Tasker type III \(Mg \+2, O -2\): it is polar"):
        atoms = slab(CRYSTALS["MgO"], [1, 1, 1])
    assert atoms.info["tasker"] == "III"
    found = tasker(atoms)
    area, spacing = 4.2**2 * np.sqrt(3) / 4, 4.2 / np.sqrt(12)
    assert abs(found.dipole) == pytest.approx(2 * spacing / area)
    assert np.allclose(np.abs(found.layers), 2 / area)
    assert np.all(np.diff(np.sign(found.layers)) != 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert slab(CRYSTALS["MgO"], [1, 0, 0]).info["tasker"] == "I"
        slab(CRYSTALS["GaAs"], [1, 1, 1], passivate="H", sides="both")
        assert "tasker" not in slab(bulk("Cu"), [1, 0, 0]).info
    iron = crystal(["Fe", "O"], [(0, 0, 0.355), (0.306, 0, 0.25)], **CORUNDUM)
    assert tasker(slab(iron, [0, 0, 1], layers=9), iron).charges == {"Fe": 3, "O": -2}
    with pytest.raises(ValueError, match="not for O"):
        tasker(atoms, charges={"Mg": 2})
    odd = slab(CRYSTALS["MgO"], [1, 1, 1], symmetric=True)
    with pytest.raises(ValueError, match=r"do not make Mg\dO\d neutral"):
        tasker(odd)
    assert tasker(odd, CRYSTALS["MgO"]).type == "III"


@pytest.mark.parametrize(
    "name, hkl", [("GaAs", [1, 0, 0]), ("GaAs", [1, 1, 1]), ("ZnO", [0, 0, 1]), ("GaAs", [1, 1, 0])]
)
def test_pseudo_hydrogen_leaves_two_electrons_to_each_bond(name, hkl):
    valence = {"Ga": 3, "As": 5, "Zn": 2, "O": 6}
    for t in terminations(CRYSTALS[name], hkl):
        atoms = slab(CRYSTALS[name], hkl, layers=6, termination=t, passivate="H", sides="both", repeat=[2, 1])
        charges = atoms.arrays["pseudo_charge"]
        assert set(charges) == {0.0} | {(8 - valence[s]) / 4 for s in set(valence) & set(atoms.symbols)}
        host = [valence.get(s, 0) for s in atoms.symbols]
        i, _ = neighbor_list("ij", atoms, {("Ga", "As"): 2.6, ("Zn", "O"): 2.2, **{(s, "H"): 1.8 for s in valence}})
        assert sum(host) + charges.sum() == pytest.approx(len(i))  # each bond twice in the list, two electrons each
    assert "pseudo_charge" not in slab(CRYSTALS["Si"], [1, 1, 1], passivate="H").arrays
