"""The ladder of minima is the known one; populations are what statistics says; orderings lie on their hull."""

from math import log, pi, sqrt

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111
from ase.cluster import Icosahedron

from adlayer import Evaluator
from adlayer.analysis import (
    Analysis,
    ChemicalOrdering,
    StructureSearch,
    boltzmann_weights,
    grand_potential,
    harmonic_free_energy,
)
from adlayer.analysis.chemical_ordering import lower_hull
from adlayer.analysis.ensembles import symmetry_weight, vibrations_of
from adlayer.config import build, describe
from adlayer.potentials.emt import EMT
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.simulation.search import Fingerprint, RandomSearch
from adlayer.units import BOLTZMANN, FS, PLANCK

EPSILON = 0.0104
MINIMA = [-16.505384, -15.935043, -15.593211, -15.533060]  # of LJ7: Tsai and Jordan, J. Phys. Chem. 97, 11227 (1993)


def argon():
    return Evaluator(LennardJones(EPSILON, 3.4, 60.0, "none"), stress=False)


def balls(n_atoms, n):
    rng = np.random.default_rng(1)
    frames = []
    for _ in range(n):
        x = rng.normal(size=(n_atoms, 3))
        r = 5.0 * rng.random(n_atoms) ** (1 / 3)
        frames.append(Atoms(f"Ar{n_atoms}", x * (r / np.linalg.norm(x, axis=1))[:, None]))
    return frames


SETTINGS = {"search": RandomSearch(), "fmax": 1e-4, "fingerprint": Fingerprint(cutoff=10.0, energy=1e-4)}


def test_ladder_of_seven_atoms(tmp_path):
    analysis = StructureSearch("balls", **SETTINGS, temperature=10.0, vibrations=True)
    made = {"balls": balls(7, 24)}
    findings = analysis(argon(), made, folder=tmp_path)
    minima = findings.data["minima"]
    assert [m["energy"] / EPSILON for m in minima] == pytest.approx(MINIMA, abs=1e-4)
    assert sum(m["found"] for m in minima) == 24
    orders = [1 / m["weight"] for m in minima]
    assert orders == pytest.approx([20, 6, 6, 2])  # D5h, C3v (capped octahedron), C3v (tetrahedron), C2
    F = [m["energy"] + m["vibrations"] for m in minima]
    p = [np.exp(-(f - F[0]) / (BOLTZMANN * 10.0)) / h for f, h in zip(F, orders)]
    assert [m["population"] for m in minima] == pytest.approx([x / sum(p) for x in p], rel=1e-9)
    assert findings.data["searches"]["Ar7"]["distinct"] == 4
    assert (tmp_path / "Ar7" / "minima.extxyz").exists()
    assert findings.quantities[0].value == minima[0]["energy"]
    assert len(findings.frames) == 4
    figure = analysis.plot({"LJ": findings})
    assert figure.subfigs[0].axes[0].get_ylabel() == "energy above the lowest (eV)"
    judged = StructureSearch("all", max_steps=0, temperature=10.0)(argon(), {"all": list(findings.frames.values())})
    assert [m["energy"] for m in judged.data["minima"]] == pytest.approx([m["energy"] for m in minima], abs=1e-9)


def test_ensemble_of_several_compositions():
    mu = -0.055
    analysis = StructureSearch(["six", "seven"], **SETTINGS, temperature=30.0, chemical_potentials={"Ar": mu}, keep=1)
    octahedron = Atoms(
        "Ar6", [[x, 0, 0] for x in (2.7, -2.7)] + [[0, x, 0] for x in (2.7, -2.7)] + [[0, 0, 2.7], [0, 0, -2.7]]
    )
    findings = analysis(argon(), {"six": [octahedron], "seven": balls(7, 12)})
    six, seven = findings.data["minima"]
    assert six["energy"] / EPSILON == pytest.approx(-12.712062, abs=1e-4)
    assert six["omega"] == pytest.approx(six["energy"] - 6 * mu)
    assert six["population"] + seven["population"] == pytest.approx(1)
    ratio = np.exp(-(seven["energy"] - six["energy"] - mu) / (BOLTZMANN * 30.0)) * 48 / 20  # O_h against D_5h
    assert seven["population"] / six["population"] == pytest.approx(ratio, rel=1e-9)


def test_weights():
    assert boltzmann_weights([0.0, BOLTZMANN * 300 * log(4)], 300) == pytest.approx([0.8, 0.2])
    assert boltzmann_weights([0.0, BOLTZMANN * 300 * log(4)], 300, [1, 4]) == pytest.approx([0.5, 0.5])
    assert boltzmann_weights([-1e6, -1e6 + 1], 10) == pytest.approx([1, 0])
    assert symmetry_weight(Icosahedron("Cu", 2)) == pytest.approx(1 / 120)
    slab = fcc111("Cu", (2, 2, 2), vacuum=5.0)
    slab.pbc = (True, True, False)
    lone = slab.copy()
    lone += Atoms("H", [slab.positions[4] + [0, 0, 1.5]])
    assert symmetry_weight(lone) / symmetry_weight(slab) == pytest.approx(4 * 2)  # 4 sites; both sides of the slab


def test_vibrations():
    dimer = Atoms("Ar2", [[0, 0, 0], [2 ** (1 / 6) * 3.4, 0, 0]])
    nu = vibrations_of(argon(), dimer)
    k = 72 / 2 ** (1 / 3) * EPSILON / 3.4**2
    assert nu.tolist() == pytest.approx([1000 * FS * sqrt(2 * k / 39.948) / (2 * pi)], rel=1e-3)
    assert len(vibrations_of(Evaluator(EMT(["Cu"])), Icosahedron("Cu", 2))) == 33
    quantum = 1e12 * PLANCK
    assert harmonic_free_energy([1.0, 3.0], 0.0) == pytest.approx(2 * quantum)
    hot = BOLTZMANN * 3000
    assert harmonic_free_energy([1.0], 3000.0) == pytest.approx(hot * log(quantum / hot), rel=1e-4)


def test_orderings_of_a_small_particle(tmp_path):
    analysis = ChemicalOrdering("particle", ["Cu", "Au"], population=4, children=4)
    findings = analysis(Evaluator(EMT(["Cu", "Au"])), {"particle": [Icosahedron("Ni", 2)]}, folder=tmp_path)
    orderings = {o["formula"]: o for o in findings.data["orderings"]}
    assert set(orderings) == {"Cu13", "Au13", "Au12Cu", "AuCu12"}
    assert orderings["Cu13"]["excess"] == pytest.approx(0, abs=1e-9)
    by_hand = {f: o["energy"] for f, o in orderings.items()}
    excess = by_hand["Au12Cu"] - 12 / 13 * by_hand["Au13"] - 1 / 13 * by_hand["Cu13"]
    assert orderings["Au12Cu"]["excess"] == pytest.approx(excess, abs=1e-9)
    assert orderings["Au12Cu"]["shells"] == ["Cu", "Au"]  # small copper inside, where EMT and nature want it
    assert findings.data["orderings"][0]["formula"] == "Au12Cu"
    assert analysis.plot({"EMT": findings}).subfigs[0].axes[0].get_xlabel() == "Au atoms"


def test_hull():
    points = [(0, 0.0), (1, -1.0), (2, -1.0), (3, -1.5), (3, -3.0), (4, 0.0)]
    assert lower_hull(points) == [(0, 0.0), (3, -3.0), (4, 0.0)]


def test_recipe_and_messages():
    spec = {"StructureSearch": {"of": "seeds", "search": {"GeneticAlgorithm": {"population": 12}}, "keep": 3}}
    analysis = build(spec, Analysis)
    assert analysis.search.population == 12
    assert build(describe(analysis)) == analysis
    with pytest.raises(ValueError, match="temperature must be above 0 K, got 0"):
        StructureSearch("seeds", temperature=0)
    with pytest.raises(ValueError, match="'pd' is not a chemical symbol; did you mean"):
        grand_potential(0.0, Atoms("Pd2"), {"pd": 1.0})
    with pytest.raises(ValueError, match="no vibration of a minimum"):
        harmonic_free_energy([-1.0], 300)
    with pytest.raises(ValueError, match="holds 2 structures"):
        ChemicalOrdering("two", ["Cu", "Au"])(argon(), {"two": balls(3, 2)})
