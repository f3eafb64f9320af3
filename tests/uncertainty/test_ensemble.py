import json

import numpy as np
import pytest
import torch
from ase.build import bulk, fcc111
from torch import nn

from adlayer import Evaluator, Graph, Structures, evaluate
from adlayer.data import Dataset
from adlayer.engines.ase import Calculator
from adlayer.fitting import fit
from adlayer.fitting.least_squares import LeastSquares
from adlayer.graph import sum_edges
from adlayer.potential import Design, PerAtom, Potential, ReferenceEnergies
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.saving import load, save
from adlayer.structures import sum_systems
from adlayer.uncertainty import Committee, Ensemble, LinearEnsemble, assess, calibrate, force_deviation
from adlayer.uncertainty.committee import drawn

COPPER = {"epsilon": 0.4, "sigma": 2.3, "cutoff": 5.0}


class Gaussians(Potential):
    """A pair potential that is linear: Gaussians on a grid, times (1 - (r/r_c)²)²."""

    def __init__(self, n: int = 6, cutoff: float = 4.5):
        super().__init__()
        self.cutoff, self.n = cutoff, n
        self.c = nn.Parameter(torch.zeros(n, dtype=torch.float64))

    linear = True

    def features(self, graph):
        r = graph.lengths[:, None]
        centers = torch.linspace(2.0, self.cutoff, self.n, dtype=r.dtype)
        g = torch.exp(-2 * (r - centers) ** 2) * (1 - (r / self.cutoff) ** 2).clamp_min(0) ** 2
        return sum_edges(g, graph)

    def forward(self, graph):
        return PerAtom(self.features(graph) @ self.c)

    @property
    def coefficients(self):
        return self.c.detach()

    @coefficients.setter
    def coefficients(self, values):
        self.c.data.copy_(values)

    def design(self, graph, forces=True, virial=True):
        vectors = graph.vectors.detach().requires_grad_()
        B = sum_systems(self.features(graph.with_vectors(vectors)), graph.structures)
        F, W = [], []
        for k in range(self.n):
            (g,) = torch.autograd.grad(B[:, k].sum(), vectors, retain_graph=True)
            F.append(g.new_zeros(graph.n_atoms, 3).index_add(0, graph.i, g).index_add(0, graph.j, g, alpha=-1))
            outer = vectors.detach()[:, :, None] * g[:, None, :]
            where = graph.structures.system[graph.i]
            W.append(g.new_zeros(graph.n_systems, 3, 3).index_add(0, where, outer))
        return Design(B.detach(), torch.stack(F, -1) if forces else None, torch.stack(W, -1) if virial else None)


def copper(n, seed, amount=0.1):
    rng = np.random.default_rng(seed)
    frames = []
    for k in range(n):
        atoms = bulk("Cu", cubic=True) * (2, 1, 1) if k % 2 else fcc111("Cu", (2, 2, 3), vacuum=5.0)
        atoms.pbc = (True, True, bool(k % 2))
        atoms.positions += amount * rng.standard_normal(atoms.positions.shape)
        frames.append(atoms)
    return frames


def labelled(frames) -> Dataset:
    """A many-body truth that no pair potential can follow."""
    structures = Structures.from_ase(frames)
    truth = Embedded()
    return Dataset(structures, evaluate(truth, structures)._replace(stress=None))


class Embedded(Potential):
    cutoff = 4.5

    def forward(self, graph):
        r = graph.lengths
        f = torch.exp(-1.5 * (r - 2.5)) * (1 - (r / self.cutoff) ** 2).clamp_min(0) ** 2
        return PerAtom(-1.5 * (sum_edges(f, graph) + 1e-3).sqrt() + 0.4 * sum_edges(f**3, graph))


@pytest.fixture(scope="module")
def data():
    frames = copper(40, 0)
    return labelled(frames[:24]), labelled(frames[24:])


@pytest.fixture(scope="module", params=["posterior", "bagged"])
def committee(request, data):
    return Committee(members=6, how=request.param).fit(Gaussians(), *data, LeastSquares(), seed=1)


def test_an_ensemble_is_the_mean_and_the_spread_of_its_members():
    members = [LennardJones(**{**COPPER, "epsilon": e}) for e in (0.3, 0.4, 0.6)]
    ensemble = Ensemble.of(members)
    structures = Structures.from_ase(copper(2, 3))
    said = evaluate(ensemble, structures)
    alone = [evaluate(m, structures) for m in members]
    for name in ("energy", "forces", "energies", "stress"):
        theirs = torch.stack([getattr(p, name) for p in alone])
        torch.testing.assert_close(getattr(said, name), theirs.mean(0))
        if name != "stress":
            torch.testing.assert_close(getattr(said.std, name), theirs.std(0))
    torch.testing.assert_close(ensemble(structures).std.forces, said.std.forces)
    # and differentiating the mean gives the mean of the derivatives
    torch.testing.assert_close(evaluate(ensemble, structures, create_graph=True).forces, said.forces)


def test_a_linear_ensemble_equals_the_same_members_one_by_one(data):
    train, _ = data
    generator = torch.Generator().manual_seed(0)
    start = fit(ReferenceEnergies({"Cu": -3.0}) + Gaussians(), train, method="LeastSquares").potential
    members = []
    for _ in range(5):
        members.append(type(start)([ReferenceEnergies({"Cu": 0.0}), Gaussians()]))
        noise = 0.05 * torch.randn(7, generator=generator, dtype=torch.float64)
        members[-1].coefficients = start.coefficients + noise
    structures = Structures.from_ase(copper(3, 5))
    one, other = LinearEnsemble.of_members(members), Ensemble.of(members)
    a, b = evaluate(one, structures), evaluate(other, structures)
    for name in ("energy", "forces", "energies"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name))
        torch.testing.assert_close(getattr(a.std, name), getattr(b.std, name))
        assert getattr(a.std, name).max() > 1e-3


def test_all_draws_of_a_posterior_give_its_variance_exactly_and_few_give_it_roughly(data):
    fitted = LeastSquares()(Gaussians(), data[0])
    graph = Graph.of(data[1].structures, 4.5)
    phi = fitted.potential.design(graph).forces
    exact = (phi @ fitted.posterior.factor).square().sum(-1).sqrt()
    R = fitted.posterior.factor.shape[1]
    torch.testing.assert_close(evaluate(drawn(fitted, R + 5), graph).std.forces, exact)
    few = torch.stack([evaluate(drawn(fitted, 3, seed), graph).std.forces ** 2 for seed in range(20)])
    assert float((few.mean(0).sum() / exact.square().sum() - 1).abs()) < 0.15


def test_a_committee_is_honest_on_held_out_data(committee, data):
    fresh = labelled(copper(16, 11))
    found = assess(Evaluator(committee)(fresh.structures), fresh)
    q = found.heldout.qualities()
    assert q["forces"].coverage["0.9"] == pytest.approx(0.9, abs=0.1)
    assert q["forces"].rmse == pytest.approx(q["forces"].sharpness, rel=0.5)
    # calibrating once more changes next to nothing
    scale = calibrate(committee, data[1]).scales
    np.testing.assert_allclose(scale, 1, rtol=1e-6)


def test_doubt_grows_away_from_the_data(committee):
    near, far = (evaluate(committee, Structures.from_ase(copper(8, 20, amount))) for amount in (0.1, 0.45))
    assert force_deviation(far).mean() > 1.5 * force_deviation(near).mean()


def test_thresholds_keep_their_promise(committee, data):
    calibration = calibrate(committee, data[1])
    fresh = labelled(copper(24, 30))
    said = evaluate(committee, fresh.structures)
    error = (said.forces - fresh.labels.forces).norm(dim=-1)
    kept = error <= calibration.bound(0.9) * force_deviation(said)
    assert float(kept.double().mean()) > 0.84
    # at most one atom in ten is both trusted and wrong
    tolerance = float(error.median())
    trusted = force_deviation(said) < calibration.threshold(tolerance, 0.9)
    assert 0.01 < trusted.double().mean() < 0.99
    assert float((trusted & (error > tolerance)).double().mean()) <= 0.1
    # one frame at a time, the largest error
    worst = torch.stack([error[fresh.structures.system == s].max() for s in range(len(fresh))])
    sigma = torch.stack([force_deviation(said)[fresh.structures.system == s].max() for s in range(len(fresh))])
    tolerance = float(worst.median())
    trusted = sigma < calibration.threshold(tolerance, 0.9, per="structure")
    assert float((trusted & (worst > tolerance)).double().mean()) <= 0.15
    json.dumps(calibration.as_dict())


def test_a_frame_whose_symmetry_leaves_no_force_does_not_spoil_the_calibration(committee, data):
    honest = calibrate(committee, data[1]).scales[1]
    ideal = labelled([bulk("Cu", cubic=True)])
    scale = calibrate(committee, Dataset.cat([data[1], ideal])).scales[1]
    assert scale == pytest.approx(1.0, rel=0.1), honest


def test_committees_repeat_themselves_and_are_saved_whole(committee, data, tmp_path):
    structures = Structures.from_ase(copper(2, 9))
    loaded = load(save(tmp_path / "committee.adl", committee))
    a, b = evaluate(committee, structures), evaluate(loaded, structures)
    for name in ("energy", "forces", "energies"):
        torch.testing.assert_close(getattr(a.std, name), getattr(b.std, name), rtol=0, atol=0)
    atoms = structures[0].to_ase()[0]
    atoms.calc = Calculator(tmp_path / "committee.adl")
    np.testing.assert_allclose(atoms.get_forces(), a.forces[: len(atoms)], atol=1e-10)
    np.testing.assert_allclose(atoms.calc.results["forces_std"], a.std.forces[: len(atoms)], atol=1e-10)
    assert atoms.calc.results["energy_std"] == pytest.approx(float(a.std.energy[0]))


def test_the_same_seed_gives_the_same_committee(data):
    a, b, c = (Committee(3, "bagged").fit(Gaussians(), *data, LeastSquares(), seed=s) for s in (4, 4, 5))
    assert torch.equal(a.spread, b.spread)
    assert not torch.equal(a.spread, c.spread)


def test_what_cannot_be_is_said(data):
    for arguments, message in (
        ({"how": "guessed"}, "'auto', 'bagged' or 'posterior', got 'guessed'"),
        ({"members": 1}, "at least 2 members, got 1"),
    ):
        with pytest.raises(ValueError, match=message):
            Committee(**arguments)
    with pytest.raises(ValueError, match="not linear in its parameters; use Ensemble"):
        LinearEnsemble(LennardJones())
    with pytest.raises(ValueError, match="needs a linear potential"):
        Committee(how="posterior").fit(LennardJones(), *data)
    with pytest.raises(ValueError, match="no standard deviations"):
        assess(evaluate(LennardJones(), data[1].structures), data[1])
