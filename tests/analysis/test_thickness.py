"""Surface energy and surface stress against thickness, on copper by effective medium theory."""

import numpy as np
import pytest
from ase.build import bulk

from adlayer import Evaluator, Structures
from adlayer.analysis.thickness import SurfaceConvergence
from adlayer.potentials.emt import EMT
from adlayer.simulation import relax
from adlayer.units import N_PER_M


@pytest.fixture(scope="module")
def copper():
    evaluate = Evaluator(EMT(["Cu"]))
    made = {"cu": [bulk("Cu", cubic=True)]}
    analysis = SurfaceConvergence("cu", [1, 0, 0], layers=[4, 6, 8], fmax=0.001)
    return evaluate, made, analysis, analysis(evaluate, made)


def test_thick_slabs_agree_with_one_another(copper):
    found = {q.name: q for q in copper[3].quantities}
    gamma = found["surface energy of (100)"]
    assert gamma.value == pytest.approx(1.134, abs=0.003)
    assert gamma.std < 1e-3
    assert found["surface energy of (100), from all slabs"].value == pytest.approx(gamma.value, abs=1e-3)
    assert abs(found["energy of the bulk, slope of (100) less the bulk's"].value) < 1e-5


def test_the_stress_is_what_strain_costs(copper):
    """``tau_xx = dE / (2 A d epsilon_xx)``: the bulk of the slab, at its minimum, adds nothing."""
    evaluate, _, _, findings = copper
    tau = next(q.value for q in findings.quantities if q.name == "surface stress of (100), along x")
    frame = findings.frames["(100)"]
    area = np.linalg.norm(np.cross(*np.asarray(frame.cell)[:2]))
    energies = []
    for strain in (-1e-3, 1e-3):
        strained = frame.copy()
        strained.set_cell(np.asarray(frame.cell) @ np.diag([1 + strain, 1, 1]), scale_atoms=True)
        energies.append(float(evaluate(Structures.from_ase(strained)).energy))
    assert (energies[1] - energies[0]) / 2e-3 / (2 * area) / N_PER_M == pytest.approx(tau, abs=2e-3)
    assert tau > 0.5
    assert relax(evaluate, [frame], fmax=0.002).steps[0] == 0


def test_plot_and_bad_input(copper):
    _, _, analysis, findings = copper
    assert len(analysis.plot({"EMT": findings}).axes) == 1
    with pytest.raises(ValueError, match="three different thicknesses"):
        SurfaceConvergence("cu", [1, 1, 1], layers=[4, 4, 6])
    rocksalt = {"x": [bulk("NiAl", "cesiumchloride", a=2.9)]}
    with pytest.raises(ValueError, match="chemical potentials"):
        SurfaceConvergence("x", [1, 0, 0], layers=[3, 5, 7])(Evaluator(EMT(["Ni", "Al"])), rocksalt)
