import pytest
import torch
from pair_basis import PairBasis, copper, labeled

from adlayer.fitting import LeastSquares
from adlayer.fitting.normal_equations import NormalEquations
from adlayer.fitting.regression import reduced, regress, triangle_by_qr

FREE = [0, 7, 15]  # columns without penalty, the last a sum of the others


@pytest.fixture(scope="module")
def problem():
    """Rows ``[A | y]`` of 23 columns, some nearly alike, one zero, and the penalty of each."""
    generator = torch.Generator().manual_seed(3)
    A = torch.randn(300, 23, generator=generator, dtype=torch.float64)
    A[:, 12] = A[:, 11] + 1e-4 * A[:, 12]
    A[:, 15] = A[:, 0] - 2 * A[:, 7]
    A[:, 20] = 0.0
    y = (
        A @ torch.linspace(1, -1, 23, dtype=torch.float64).square()
        + 0.1 * torch.randn(300, generator=generator).double()
    )
    penalty = torch.linspace(1, 30, 23, dtype=torch.float64)
    penalty[FREE] = 0.0
    return torch.cat([A, y[:, None]], 1), penalty


def by_both(problem, strength, block, floor=0.0):
    rows, penalty = problem
    blocks = rows.split([120, 5, 175])
    return (
        NormalEquations(blocks, 23, block).regress(penalty, strength, floor),
        regress(reduced(triangle_by_qr(blocks), len(rows)), penalty, strength, floor),
    )


@pytest.mark.parametrize("block", [1, 5, 100])
@pytest.mark.parametrize(("strength", "floor"), [(1e-3, 0.0), (1e-7, 0.0), (1e-3, 1.01)])
def test_equal_to_singular_values(problem, strength, floor, block):
    found, known = by_both(problem, strength, block, floor)
    torch.testing.assert_close(found.mean, known.mean, rtol=1e-6, atol=1e-8)
    assert found.noise == pytest.approx(known.noise, rel=1e-8)
    assert found.effective == pytest.approx(known.effective, rel=1e-8)
    covariances = [x.factor @ x.factor.T for x in (found, known)]
    torch.testing.assert_close(*covariances, rtol=1e-5, atol=1e-8)


def test_finds_the_same_evidence(problem):
    found, known = by_both(problem, "evidence", 6)
    assert 0.5 < found.ridge / known.ridge < 2.0
    torch.testing.assert_close(found.mean, known.mean, rtol=0, atol=5e-3)
    assert found.noise == pytest.approx(0.1, rel=0.1)


def test_too_weak_a_ridge_says_so(problem):
    rows, penalty = problem
    with pytest.raises(ValueError, match="too weak for 23 coefficients"):
        NormalEquations([rows], 23, 4).regress(penalty, 0.0)
    with pytest.raises(ValueError, match="needs a ridge above 0"):
        LeastSquares(solver="cholesky", ridge="ard")
    with pytest.raises(ValueError, match="did you mean 'cholesky'"):
        LeastSquares(solver="choleski")


def test_fits_as_the_other_solvers_do(monkeypatch):
    """Reference energies are free, the posterior is that of all; many coefficients take it by themselves."""
    data = labeled(copper(9), PairBasis(coefficients=[0.9, -0.4, 0.3, 0.25, -0.6, 0.1]), noise=0.02)
    known = LeastSquares(ridge=1e-4, solver="qr")(PairBasis(), data)
    monkeypatch.setattr("adlayer.fitting.least_squares._AFFORDABLE", 0.0)
    monkeypatch.setattr("adlayer.fitting.least_squares._MANY", 0)
    found = LeastSquares(ridge=1e-4)(PairBasis(), data)
    assert found.history[0]["solver"] == "Cholesky"
    torch.testing.assert_close(found.potential.coefficients, known.potential.coefficients, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(*(f.posterior.factor @ f.posterior.factor.T for f in (found, known)))


@pytest.mark.parametrize("solver", ["qr", "cholesky"])
def test_of_several_ridges_validation_frames_choose(solver):
    """The one that a fit with each alone would choose, and what that fit finds."""
    truth = torch.zeros(40, dtype=torch.float64)
    truth[10:16] = torch.tensor([0.9, -0.4, 0.3, 0.25, -0.6, 0.1])
    truth = PairBasis(40, coefficients=truth)
    data, valid = labeled(copper(4), truth, noise=0.02), labeled(copper(6, seed=5), truth)
    ridges = [1e-11, 1e-4, 1e-6, 1.0]
    alone = {r: LeastSquares(ridge=r, solver=solver)(PairBasis(40), data, valid) for r in ridges}
    loss = {r: LeastSquares().weights.loss(f.metrics["valid"]) for r, f in alone.items()}
    best = min(loss, key=loss.get)
    assert best not in (ridges[0], ridges[-1])
    found = LeastSquares(ridge=ridges, solver=solver)(PairBasis(40), data, valid)
    assert found.history[0]["ridge"] == best
    torch.testing.assert_close(found.potential.coefficients, alone[best].potential.coefficients)
    torch.testing.assert_close(found.posterior.factor, alone[best].posterior.factor)
    with pytest.raises(ValueError, match="ridge is a list, of which a validation set chooses"):
        LeastSquares(ridge=ridges, solver=solver)(PairBasis(40), data)


@pytest.mark.parametrize("solver", ["qr", "cholesky"])
def test_what_the_data_hardly_show_stays_small(solver):
    """A function that atoms reach by a hair must not be made of the noise."""
    data = labeled(copper(4), PairBasis(8), noise=0.02)
    basis = PairBasis(8)
    basis.centers[0] = 0.0  # atoms are 2 Å apart
    free, bound, usual = (
        LeastSquares(ridge=1e-6, solver=solver, energies="none", floor=floor)(basis, data).potential.coefficients
        for floor in (0.0, 1e-2, 1e-5)
    )
    assert abs(free[0]) > 1e3
    assert abs(bound[0]) < 1.0
    assert abs(usual[0]) < 0.5 * abs(free[0])
    torch.testing.assert_close(bound[3:], free[3:], rtol=0.1, atol=0.01)
