import pytest
from ase import Atoms

from adlayer import Structures, evaluate
from adlayer.potentials.zbl import ZBL


def dimer(potential, r, symbols="SiO"):
    return float(evaluate(potential, Structures.from_ase(Atoms(symbols, [[0, 0, 0], [r, 0, 0]]))).energy)


def test_bare_nuclei():
    """At tiny distance the electrons do not screen: V r = e^2 Z1 Z2."""
    assert dimer(ZBL(), 1e-6) * 1e-6 == pytest.approx(14.399645478 * 14 * 8, rel=1e-4)


def test_screening():
    """W-W at 1 Å: x = r/a = 2 * 74^0.23 / 0.46850 and the four exponentials; nothing is switched yet."""
    x = 2 * 74**0.23 / 0.46850
    phi = 0.18175 * 2.718281828459045 ** (-3.1998 * x) + 0.50986 * 2.718281828459045 ** (-0.94229 * x)
    phi += 0.28022 * 2.718281828459045 ** (-0.4029 * x) + 0.02817 * 2.718281828459045 ** (-0.20162 * x)
    far = ZBL(inner=19.0, cutoff=20.0)
    assert dimer(far, 1.0, "W2") == pytest.approx(14.399645478 * 74**2 * phi, rel=1e-9)


def test_curvature_vanishes_at_the_cutoff():
    p, h = ZBL(inner=1.0, cutoff=2.0), 1e-3
    assert 0 < dimer(p, 2.0 - h) < 50 * h**3
    assert dimer(p, 2.0 + h) == 0


def test_messages():
    with pytest.raises(ValueError, match="from inner to cutoff"):
        ZBL(inner=2.0, cutoff=1.0)
