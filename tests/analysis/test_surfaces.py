"""Dimers seen in frames; energies of reconstructions and surfaces, bookkeeping included."""

import json

import numpy as np
import pytest
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT

from adlayer import Evaluator
from adlayer.analysis import DimerLength, DimerTilt, Findings, Reconstructions, SurfaceEnergy
from adlayer.config import describe
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.potentials.stillinger_weber import StillingerWeber
from adlayer.reference import calculator_evaluate
from adlayer.simulation import relax
from adlayer.surfaces import Bulk, Dimers, Slab
from adlayer.units import N_PER_M


def silicon(**settings):
    made = {"slab": Slab("Si", [1, 0, 0], layers=6, repeat=[2, 2], **settings)({}, None)}
    made["dimers"] = Dimers("slab", ["1x1", "p(2x1)", "p(2x2)"])(made, None)
    return made


def test_dimers_are_found_in_every_frame():
    made = silicon(passivate="H")
    ideal, flat, tilted = made["dimers"]
    assert DimerTilt()(ideal) == []
    assert np.allclose(DimerLength()(flat), [2.4, 2.4])
    assert np.allclose(np.sort(DimerTilt()(tilted)), [-18, 18])
    moved = tilted.copy()
    moved.positions += [3.1, 2.2, 0]  # across the cell's edge
    moved.wrap()
    assert np.allclose(np.sort(DimerTilt()(moved)), [-18, 18])
    untagged = tilted.copy()
    untagged.set_tags(0)
    assert np.allclose(DimerTilt()(untagged), DimerTilt()(tilted))
    flipped = tilted.copy()
    top = np.flatnonzero(tilted.get_tags() == 1)
    flipped.positions[top, 2] = 2 * tilted.positions[top, 2].mean() - tilted.positions[top, 2]
    assert np.allclose(DimerTilt()(flipped), -np.array(DimerTilt()(tilted)))


def test_reconstructions_by_stillinger_and_weber():
    """The potential knows symmetric dimers only, at 2.40 Å, and gains by dimerizing; tilted ones fall back."""
    made = silicon(frozen=2)
    analysis = Reconstructions("dimers", fmax=0.005, max_steps=300)
    found = analysis(Evaluator(StillingerWeber(), stress=False), made)
    assert found.data["energy"]["p(2x1)"] < -1.0
    assert found.data["energy"]["p(2x2)"] == pytest.approx(found.data["energy"]["p(2x1)"], abs=1e-3)
    assert found.data["length"]["p(2x1)"] == pytest.approx(2.40, abs=0.02)
    assert found.data["tilt"]["p(2x2)"] < 1.0
    assert found.quantities[0].name == "energy of p(2x1) above 1x1, per dimer"
    assert set(found.frames) == {"1x1", "p(2x1)", "p(2x2)"}
    kept = json.loads(json.dumps(describe({"quantities": [vars(q) for q in found.quantities], "data": found.data})))
    assert analysis.plot({"potential": Findings.of(kept, {}), "reference": found}).axes


def test_energies_compare_only_within_one_size():
    made = silicon(frozen=2)
    made["mixed"] = Dimers("slab", ["p(2x1)", "c(4x2)"])(made, None)
    found = Reconstructions("mixed", max_steps=0)(Evaluator(StillingerWeber(), stress=False), made)
    assert not [q for q in found.quantities if "energy" in q.name]
    made["mixed"] = Dimers("slab", ["p(2x1)", "c(4x2)"], common=True)(made, None)
    found = Reconstructions("mixed", max_steps=0)(Evaluator(StillingerWeber(), stress=False), made)
    assert found.quantities[2].name == "energy of c(4x2) above p(2x1), per dimer"


def test_surface_energy_of_copper():
    """Cu(111) with EMT: both sides of a bare slab, straight from energies."""
    atoms = fcc111("Cu", (1, 1, 7), a=3.59, vacuum=6.0)
    atoms.pbc = (True, True, False)
    made = {"slab": [atoms], "bulk": [bulk("Cu", a=3.59)]}
    evaluate = calculator_evaluate(EMT())
    found = SurfaceEnergy("slab", "bulk", fmax=0.002)(evaluate, made)
    built, relaxed = (q.value for q in found.quantities)
    slab, crystal = atoms.copy(), made["bulk"][0].copy()
    slab.calc = crystal.calc = EMT()
    area = np.linalg.norm(np.cross(slab.cell[0], slab.cell[1]))
    slab_energy = slab.get_potential_energy()
    assert built * N_PER_M == pytest.approx((slab_energy - 7 * crystal.get_potential_energy()) / (2 * area))
    assert relaxed == pytest.approx(
        (relax(evaluate, [atoms], fmax=0.002).prediction.energy.item() - 7 * crystal.get_potential_energy())
        / (2 * area)
        / N_PER_M
    )
    assert relaxed < built
    assert SurfaceEnergy("slab", "bulk").plot({"EMT": found}).axes


def test_passivated_bottom_cancels():
    """The top of a passivated slab costs what the top of a bare one does, for any potential of short range."""
    both = silicon(frozen=0)
    both |= {"bulk": Bulk("Si", [2, 2], miller=[1, 0, 0], layers=8)({}, None)}
    both["capped"] = Slab("Si", [1, 0, 0], layers=8, repeat=[2, 2], passivate="H")({}, None)
    both["hydrogens"] = Slab("Si", [1, 0, 0], layers=8, repeat=[2, 2], passivate="H", sides="both")({}, None)
    evaluate = Evaluator(LennardJones(epsilon=0.2, sigma=2.1, cutoff=4.5), stress=False)
    capped = SurfaceEnergy("capped", "bulk", "hydrogens", max_steps=0)(evaluate, both).data["built"]
    bare = SurfaceEnergy("slab", "bulk", max_steps=0)(evaluate, both).data["built"]
    assert list(capped.values()) == pytest.approx(list(bare.values()), abs=1e-9)
    with pytest.raises(ValueError, match="needs `passivated`"):
        SurfaceEnergy("capped", "bulk")(evaluate, both)


def test_a_slab_is_no_bulk():
    made = {"slab": Slab("Si", [1, 0, 0], layers=4)({}, np.random.default_rng(0))}
    with pytest.raises(ValueError, match="periodic along three axes"):
        SurfaceEnergy("slab", "slab")(Evaluator(StillingerWeber()), made)
