import pytest
import torch
from ase.build import bulk
from ase.calculators.eam import EAM as AseEAM

from adlayer import Structures, evaluate
from adlayer.formats import write_potential
from adlayer.nn.splines import interpolate, table_slopes
from adlayer.potentials.eam import EAM


@pytest.mark.parametrize(("element", "a", "energy"), [("Cu", 3.61, -3.50), ("Au", 4.08, -3.78), ("Al", 4.05, -3.34)])
def test_sutton_chen(element, a, energy):
    """Cohesive energy and lattice constant, to which each metal was fitted."""
    p = EAM([element], cutoff=18.0, n_r=6005, dr=0.003)
    found = evaluate(p, Structures.from_ase(bulk(element, a=a)))
    assert float(found.energy) == pytest.approx(energy, abs=0.02)
    assert float(found.stress[0, 0, 0]) == pytest.approx(0.0, abs=0.006)


def test_unknown_tables_are_not_zero():
    p = EAM(["Fe"])
    assert evaluate(p, Structures.from_ase(bulk("Fe"))).energy.isnan().all()


def test_like_ase(tmp_path):
    """ASE draws another spline through the same table; on a fine one they meet."""
    p = EAM(["Cu", "Ni"], cutoff=5.0, n_r=5005, dr=0.001, n_rho=4000, drho=0.05)
    write_potential(tmp_path / "CuNi.eam.alloy", p)
    atoms = bulk("Cu", cubic=True)
    atoms.symbols[1:3] = "Ni"
    atoms.rattle(0.05, seed=2)
    ours = evaluate(p, Structures.from_ase(atoms))
    atoms.calc = AseEAM(potential=str(tmp_path / "CuNi.eam.alloy"))
    assert float(ours.energy) == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
    torch.testing.assert_close(ours.forces, torch.from_numpy(atoms.get_forces()), atol=1e-5, rtol=0)


def test_spline():
    """Exact for cubics away from the ends, through the values everywhere, linear behind the last knot."""
    m = torch.arange(12, dtype=torch.float64)
    f = (0.1 * m**3 - m**2 + 2)[None]
    x = torch.tensor([3.3, 5.75, 8.01], dtype=torch.float64)
    table = torch.zeros(3, dtype=torch.long)
    torch.testing.assert_close(interpolate(f, table, x), 0.1 * x**3 - x**2 + 2)
    torch.testing.assert_close(interpolate(f.repeat(2, 1), torch.ones(12, dtype=torch.long), m), f[0])
    end = f[0, -1] + 2 * table_slopes(f)[0, -1]
    assert float(interpolate(f, table[:1], m[-1:] + 2)) == pytest.approx(float(end))


def test_messages():
    with pytest.raises(ValueError, match=r"end at 4 Å, before the cutoff of 5.0 Å"):
        EAM(["Cu"], cutoff=5.0, n_r=1000, dr=0.004)
