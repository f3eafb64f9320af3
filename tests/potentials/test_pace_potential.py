import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from adlayer import Structures, evaluate
from adlayer.checks import check_potential
from adlayer.data import Dataset
from adlayer.fitting import LeastSquares
from adlayer.nn.embeddings import shifted_power, smoothed_power
from adlayer.nn.pace_bonds import RADIAL, Bond
from adlayer.nn.radial_tables import RadialTables
from adlayer.potentials.pace import PACE
from adlayer.potentials.zbl import ZBL


def test_simplified_bessel_functions_are_orthonormal():
    x, w = np.polynomial.legendre.leggauss(60)
    r = torch.tensor(2.5 * (x + 1))
    g = Bond("SBessel", 5.0).base(r, 6)
    overlap = torch.einsum("ra,rb,r->ab", g, g, 2.5 * torch.tensor(w) * r**2)
    torch.testing.assert_close(overlap, torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("radial", RADIAL)
def test_tables_are_the_functions(radial):
    """As near as cubics come: the fourth power of the spacing."""
    bond = Bond(radial, 4.0)
    table = RadialTables([lambda r: bond.base(r, 5)], [4.0], np.zeros((1, 1), np.int64), 0.004)
    r = torch.linspace(0.5, 3.95, 999, dtype=torch.float64)
    zero = torch.zeros(len(r), dtype=torch.long)
    torch.testing.assert_close(table(r, zero, zero), bond.base(r, 5), rtol=0, atol=2e-9)


def test_embeddings():
    x = torch.tensor([-400.0, -1e-8, 0.0, 1e-8, 400.0], dtype=torch.float64, requires_grad=True)
    for power, slope in ((shifted_power, 1.25), (smoothed_power, 1e3)):
        F = power(x, 0.5)
        torch.testing.assert_close(F, x.new_tensor([-20.0, -1e-8 * slope, 0.0, 1e-8 * slope, 20.0]))
        (dF,) = torch.autograd.grad(F.sum(), x)
        torch.testing.assert_close(dF, x.new_tensor([0.025, slope, slope, slope, 0.025]), rtol=1e-4, atol=0)
        assert power(x, 1) is x


def test_linear_one_obeys_the_laws_of_linear_ones():
    arguments = {"n_max": [4, 2], "l_max": [0, 2], "radial": "ChebExpCos", "bonds": {"Cu-O": {"inner": [1.4, 0.4]}}}
    potential = PACE(["Cu", "O"], 4.0, **arguments, spacing=0.002)
    assert potential.linear
    check_potential(potential, ["linearity", "fused_equals_plain", "forces_are_derivatives", "saving"])


@pytest.mark.parametrize("core", ["density", "zbl"])
def test_cores_obey_the_laws(core):
    here = {
        "density": {"repulsion": [5.0, 0.5], "inner": [0.9, 0.4]},
        "zbl": {"repulsion": [1.0, 0.0], "inner": [2.6, 0.9]},
    }
    bonds = {
        "all": here[core] | {"width": 1.0}
    }  # in 0.01 Å the repulsion of nuclei would fade with a kink of its slope
    embeddings = {"Cu": {"terms": [[0.8, 1.0], [1.0, 0.7]], "shifted": False, "core": [3.0, 2.5]}}
    potential = PACE(["Cu", "O"], 4.0, [3, 2], [0, 1], core=core, bonds=bonds, embeddings=embeddings, spacing=0.002)
    laws = ["forces_are_derivatives", "stress_is_derivative", "second_derivatives", "fused_equals_plain", "compilation"]
    check_potential(potential, [*laws, "batching", "longer_list"])


def test_core_of_nuclei():
    """Deep in it there is nothing but the repulsion of nuclei; outside nothing of it."""
    bonds = {"all": {"repulsion": [1.0, 0.0], "inner": [1.6, 0.4]}}
    with_core, without = PACE(["Cu"], 5.0, [4, 2], [0, 1], core="zbl", bonds=bonds), PACE(["Cu"], 5.0, [4, 2], [0, 1])
    near, far = (Structures.from_ase(Atoms("Cu2", positions=[[0, 0, 0], [r, 0, 0]])) for r in (0.9, 1.7))
    nuclei = ZBL(4.99, 5.0, coulomb=14.399645351950545)
    torch.testing.assert_close(evaluate(with_core, near).energy, evaluate(nuclei, near).energy, rtol=1e-9, atol=0)
    torch.testing.assert_close(evaluate(with_core, far).forces, evaluate(without, far).forces, rtol=0, atol=0)


def test_fitted_by_least_squares_beside_a_fixed_core():
    rng, frames = np.random.default_rng(0), []
    teacher = PACE(["Cu"], 4.5, [4, 3], [0, 2]) + ZBL(1.0, 2.0)
    for _ in range(6):
        atoms = bulk("Cu", cubic=True)
        atoms.positions += rng.normal(0, 0.15, atoms.positions.shape)
        frames.append(atoms)
    structures = Structures.from_ase(frames)
    data = Dataset(structures, evaluate(teacher, structures), [{} for _ in frames])
    pupil = PACE(["Cu"], 4.5, [4, 3], [0, 2]) + ZBL(1.0, 2.0)
    pupil.parts[0].c.data.zero_()
    fitted = LeastSquares(ridge=0.0, energies="none")(pupil, data)
    assert fitted.metrics["train"]["forces_rmse"] < 1e-7


def test_bad_arguments():
    for arguments, message in (
        ({"radial": "SBesel"}, "did you mean 'SBessel'"),
        ({"core": "zbll"}, "did you mean 'zbl'"),
        ({"embedding": "sqrt"}, "embedding must be one of"),
        ({"bonds": {"Cu-O": {}}}, "bonds has no 'Cu-O'"),
        ({"bonds": {"all": {"cutof": 3.0}}}, "did you mean 'cutoff'"),
        ({"embeddings": {"Ni": {}}}, "embeddings has no 'Ni'"),
        ({"n_max": [3, 2], "l_max": [0]}, "l_max needs 2 values"),
        ({"cutoff": 0.0}, "above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            PACE(["Cu"], **arguments)
