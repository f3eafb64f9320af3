"""Properties of crystals by one code for potentials and calculators: as ASE finds them, and the literature."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.eos import EquationOfState as AseEquationOfState

from adlayer import Evaluator
from adlayer.analysis import ElasticConstants, EquationOfState, birch_murnaghan
from adlayer.potentials.stillinger_weber import StillingerWeber
from adlayer.reference import calculator_evaluate
from adlayer.units import GPA


def values(findings):
    return {q.name: q.value for q in findings.quantities}


def test_equation_of_state_as_ase_does():
    made = {"copper": [bulk("Cu", cubic=True)]}
    findings = EquationOfState("copper", amount=0.03, points=7)(calculator_evaluate(EMT()), made)
    theirs = AseEquationOfState(findings.data["volumes"], findings.data["energies"], eos="birchmurnaghan")
    V, _, B = theirs.fit()
    found = values(findings)
    assert found["volume per atom"] == pytest.approx(V, rel=1e-4)
    assert found["bulk modulus"] == pytest.approx(B / GPA, rel=5e-3)
    assert found["lattice constant"] == pytest.approx((4 * V) ** (1 / 3), rel=1e-4)


def test_birch_murnaghan_finds_its_own_parameters():
    V0, E0, B0, slope = 16.0, -3.5, 0.6, 4.7

    def E(V):
        x = (V0 / V) ** (2 / 3)
        return E0 + 9 * V0 * B0 / 16 * ((x - 1) ** 3 * slope + (x - 1) ** 2 * (6 - 4 * x))

    fit = birch_murnaghan(np.linspace(14, 18, 9), E(np.linspace(14, 18, 9)))
    assert (fit.volume, fit.energy, fit.modulus) == pytest.approx((V0, E0, B0), rel=1e-6)
    assert fit(np.array([15.1]))[0] == pytest.approx(E(15.1))
    with pytest.raises(ValueError, match="no minimum"):
        birch_murnaghan(np.linspace(17, 19, 7), E(np.linspace(17, 19, 7)))


def test_silicon_by_stillinger_and_weber():
    """C11 151.4, C12 76.4, C44 56.4 GPa (relaxed): Cowley, Phys. Rev. Lett. 60, 2379 (1988), scaled to this epsilon."""
    made = {"si": [bulk("Si", cubic=True, a=5.43095)]}
    evaluate = Evaluator(StillingerWeber())
    found = values(EquationOfState("si")(evaluate, made))
    assert found["lattice constant"] == pytest.approx(5.431, abs=0.001)
    assert found["bulk modulus"] == pytest.approx(101.4, abs=1.0)
    findings = ElasticConstants("si", amount=0.002, fmax=1e-4)(evaluate, made)
    C = np.array(findings.data["C"])
    assert C[0, 0] == pytest.approx(151.4, abs=1.5)
    assert C[0, 1] == pytest.approx(76.4, abs=1.0)
    assert C[3, 3] == pytest.approx(56.4, abs=1.0)
    assert values(findings)["bulk modulus (Voigt)"] == pytest.approx(found["bulk modulus"], rel=5e-3)
    turned = {"si": [bulk("Si", cubic=True, a=5.43095)]}
    turned["si"][0].rotate(45, "z", rotate_cell=True)
    again = values(ElasticConstants("si", amount=0.002, fmax=1e-4)(evaluate, turned))
    assert again == pytest.approx(values(findings), rel=2e-3)


def test_plots_and_bad_input():
    made = {"copper": [bulk("Cu", cubic=True)], "two": [bulk("Cu"), bulk("Ag")]}
    evaluate = calculator_evaluate(EMT())
    for analysis in (EquationOfState("copper"), ElasticConstants("copper")):
        findings = analysis(evaluate, made)
        figure = analysis.plot({"potential": findings, "reference": findings})
        assert figure.axes
    with pytest.raises(ValueError, match="holds 2 structures"):
        EquationOfState("two")(evaluate, made)
