"""Adsorption energies: those made step by step with ASE; references, anomalies, populations; going on after a kill."""

import json

import numpy as np
import pytest
from ase.build import fcc111, molecule
from ase.calculators.emt import EMT as AseEMT
from ase.cluster import Icosahedron
from ase.optimize import BFGS

from adlayer import Evaluator
from adlayer.analysis import AdsorptionEnergy, Findings
from adlayer.analysis.anomalies import anomalies, site_under
from adlayer.analysis.gas_reference import GasReference
from adlayer.config import describe
from adlayer.potentials.emt import EMT
from adlayer.surfaces import Adsorbates, Overlayers, Slab, adsorption_sites
from adlayer.surfaces.sites import clean
from adlayer.units import BOLTZMANN

PT = Slab("Pt", [1, 1, 1], layers=3, repeat=[2, 2], frozen=2, a=3.92)({}, None)
GAS = {"H": "0.5 H2", "O": "H2O - H2", "CO": "CO"}


def emt() -> Evaluator:
    return Evaluator(EMT(("Pt", "Cu", "C", "O", "H")), stress=False)


@pytest.fixture(scope="module")
def made():
    made = {"pt": PT}
    made["h"] = Adsorbates("pt", "H")(made, None)
    made["2h"] = Adsorbates("h", "H", sites=["fcc"], apart=1.5)(
        {"h": [f for f in made["h"] if "fcc" in f.info["sites"]]}, None
    )
    return made


@pytest.fixture(scope="module")
def hydrogen(made):
    return AdsorptionEnergy(["h", "2h"], GAS, fmax=0.005, temperature=500)(emt(), made)


def with_ase(atoms, fmax=0.005):
    atoms = atoms.copy()
    atoms.calc = AseEMT()
    BFGS(atoms, logfile=None).run(fmax=fmax)
    return atoms.get_potential_energy()


def test_energies_are_those_of_ase(made, hydrogen):
    """Nothing but differences of total energies of relaxed structures, the molecule in no cell."""
    (fcc,) = [f for f in made["h"] if "fcc" in f.info["sites"]]
    byhand = with_ase(fcc) - with_ase(PT[0]) - 0.5 * with_ase(molecule("H2"))
    found = {q.name: q.value for q in hydrogen.quantities}
    assert found["H on fcc 3Pt9, per adsorbate"] == pytest.approx(byhand, abs=2e-4)
    assert found["reference of H: 0.5 H2"] == pytest.approx(0.5 * with_ase(molecule("H2")), abs=1e-4)


def test_candidates_move_compete_and_are_counted(hydrogen):
    """On EMT's platinum bridges and tops are no minima: nudged, hydrogen rolls into a hollow and is there already."""
    rows = {row["name"]: row for row in hydrogen.data["candidates"]}
    one = {name: row for name, row in rows.items() if row["species"] == ["H"]}
    assert len(one) == 4
    assert all(row["site"].split()[0] in ("fcc", "hcp") for row in one.values())
    moved = {name for name, row in one.items() if row["flags"]}
    assert moved == {"H on top Pt9", "H on bridge 2Pt9"}
    assert all(row["flags"][0].startswith("moved to") for row in rows.values() if row["flags"])
    competing = [row for row in one.values() if row["competes"]]
    assert sorted(row["site"] for row in competing) == ["fcc 3Pt9", "hcp 3Pt9"]
    assert all(row["same_as"] in rows for row in one.values() if not row["competes"])
    E = np.array([row["total"] for row in competing])
    p = np.array([row["multiplicity"] for row in competing]) * np.exp(-(E - E.min()) / (500 * BOLTZMANN))
    assert [row["multiplicity"] for row in competing] == [4, 4]
    assert np.allclose([row["population"] for row in competing], p / p.sum())
    mean = {q.name: q.value for q in hydrogen.quantities}["mean of H at 500 K, per adsorbate"]
    assert mean == pytest.approx(E @ p / p.sum())


def test_differential_energy_is_of_the_last(hydrogen):
    best = {}
    for row in hydrogen.data["candidates"]:
        if row["competes"]:
            best.setdefault(len(row["species"]), row)
    assert best[1]["differential"] == pytest.approx(best[1]["total"])
    assert best[2]["differential"] == pytest.approx(best[2]["total"] - best[1]["total"])


def test_pictures_tables_and_a_second_judge(made, hydrogen):
    analysis = AdsorptionEnergy(["h", "2h"], GAS, fmax=0.005, temperature=500)
    kept = json.loads(
        json.dumps(describe({"quantities": [vars(q) for q in hydrogen.quantities], "data": hydrogen.data}))
    )
    again = Findings.of(kept, hydrogen.frames)
    assert len(analysis.plot({"EMT": again, "ASE": hydrogen}).axes) == 2  # with a map
    assert len(analysis.plot({"EMT": Findings.of(kept, {})}).axes) == 1
    judged = AdsorptionEnergy("judged", GAS, max_steps=0)(emt(), {"judged": list(hydrogen.frames.values())})
    energies = {row["name"]: row["energy"] for row in judged.data["candidates"]}
    assert energies == pytest.approx({row["name"]: row["energy"] for row in hydrogen.data["candidates"]})


def test_a_killed_relaxation_goes_on(made, hydrogen, tmp_path):
    evaluator, calls = emt(), []

    def mortal(structures):
        calls.append(structures)
        if len(calls) == 16:
            raise KeyboardInterrupt
        return evaluator(structures)

    analysis = AdsorptionEnergy("h", GAS, fmax=0.005)
    whole = analysis(emt(), made, folder=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        analysis(mortal, made, folder=tmp_path / "killed")
    again = analysis(emt(), made, folder=tmp_path / "killed")
    assert again.data == whole.data
    assert analysis(pytest.fail, made, folder=tmp_path / "killed").data == whole.data  # nothing is asked again


def test_molecules_that_fall_apart_leave_or_lift_the_surface():
    surface = fcc111("Cu", (3, 3, 3), vacuum=8)
    made = {"cu": [surface]}
    (before,) = Adsorbates("cu", "CO", binding="C", sites="fcc")(made, None)
    assert anomalies(before, before, surface) == []
    for shift, atom, flag in (
        ([2.2, 0, -1.2], -2, "dissociated"),
        ([0, 0, 4.0], slice(-2, None), "desorbed"),
        ([0, 0, 1.2], 20, "surface reconstructed"),
    ):
        after = before.copy()
        after.positions[atom] += shift
        assert anomalies(before, after, surface) == [flag]
    (pair,) = Overlayers("cu", {"O": 2 / 9}, sites="top", apart=3.0)(made, np.random.default_rng(0))
    after = pair.copy()
    after.positions[-1] = after.positions[-2] + [1.2, 0, 0]
    assert anomalies(pair, after, surface) == ["reacted"]
    sites = adsorption_sites(surface)
    assert [sites[s].name for s in site_under(before, sites)] == ["fcc"]


def test_on_a_particle():
    made = {"ico": [Icosahedron("Cu", 2)]}
    made["co"] = Adsorbates("ico", "O", sites=["top", "hollow"])(made, None)
    found = AdsorptionEnergy("co", {"O": -0.5}, nudge=0.0, fmax=0.05)(emt(), made)
    assert found.data["references"]["O"] == {"scheme": -0.5, "energy": -0.5}
    assert {row["site"].split()[0] for row in found.data["candidates"]} <= {"top", "fcc", "hcp", "bridge"}
    assert found.data["candidates"][0]["multiplicity"] in (12, 20, 30)
    assert clean(made["co"][0]) == made["ico"][0]


def test_gas_molecules_may_have_spin(made):
    seen = []

    def told(structures):
        seen.append(structures.spin)
        return emt()(structures)

    AdsorptionEnergy("h", {"H": "0.5 H2"}, spins={"H2": 2}, max_steps=1)(told, made)
    assert seen[0].tolist() == [0, 0, 0, 0, 0, 2]


def test_schemes():
    water = GasReference.of("O", "H2O - H2", {"O": 1})
    assert water.energy({"H2O": -3.0, "H2": -1.0}) == -2.0
    third = GasReference.of("N", "1/2 N2", {"N": 1})
    assert third.energy({"N2": -3.0}) == -1.5
    assert GasReference.of("CH3", "CH4 - 0.5 H2", {"C": 1, "H": 3}).terms.keys() == {"CH4", "H2"}


@pytest.mark.parametrize(
    "references, message",
    [
        ({"O": "0.5 O2"}, "adsorbed H has no reference: give references = { H = ... }"),
        ({"H": "H2"}, "H = 'H2' does not balance: it holds 2 H, and the adsorbate 1 H"),
        ({"H": "0.5 HH"}, "'HH' is no molecule that is known"),
        ({"H": "half of H2"}, "is a sum of molecules such as"),
    ],
)
def test_references_that_cannot_be(made, references, message):
    with pytest.raises(ValueError, match=message):
        AdsorptionEnergy("h", references)(emt(), made)


def test_what_carries_no_adsorbates(made):
    with pytest.raises(ValueError, match="structure 1 says of no atoms that they adsorb"):
        AdsorptionEnergy("pt", GAS)(emt(), made)
    with pytest.raises(ValueError, match="temperature above zero"):
        AdsorptionEnergy("h", GAS, temperature=0)


def test_one_surface_under_adsorbates_and_overlayers(made):
    """Both come from one slab, whose positions they round differently."""
    half = Overlayers("pt", {"H": 0.5}, sites="fcc", n=1)(made, np.random.default_rng(0))
    both = {"all": [*made["h"], *half]}
    found = AdsorptionEnergy("all", GAS, max_steps=0)(emt(), both)
    assert [name for name in found.frames if name.startswith("clean surface")] == ["clean surface"]
    assert any("differential" in q.name for q in found.quantities)
