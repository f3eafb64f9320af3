"""Variable projection: finds what another potential has, goes on to the last digit, and for potentials of all kinds."""

import pytest
import torch
from ase.build import bulk

from adlayer import Dataset, Graph, Structures, evaluate
from adlayer.fitting import LeastSquares, VariableProjection
from adlayer.fitting.tangent import differences, steps_of, tangent
from adlayer.potential import ReferenceEnergies
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.potentials.morse import Morse
from adlayer.potentials.mtp import MTP
from adlayer.potentials.stillinger_weber import StillingerWeber


def frames(n, seed, symbols="SiSi", structure="zincblende", a=5.43):
    found = []
    for k in range(n):
        atoms = bulk(symbols, structure, a=a, cubic=True)
        atoms.set_cell(atoms.cell * (0.97 + 0.06 * k / n), scale_atoms=True)
        atoms.rattle(0.1, seed=seed + k)
        found.append(atoms)
    return Structures.from_ase(found)


def labeled(potential, structures):
    return Dataset(structures, evaluate(potential, structures)._replace(energies=None))


def rms(potential, data):
    return float((evaluate(potential, data.structures).forces - data.labels.forces).square().mean().sqrt())


@pytest.fixture(scope="module")
def silicon():
    return labeled(StillingerWeber.silicon(), frames(8, 0)), labeled(StillingerWeber.silicon(), frames(4, 50))


def small():
    return MTP(["Si"], 4.0, 8, 5)


@pytest.mark.parametrize("elements", [["Si"], ["Si", "C"]])
def test_slopes_are_differences(elements):
    """Bulk, and a slab; one element, and two."""
    symbols = elements[0] + elements[-1]
    atoms = bulk(symbols, "zincblende", a=5.0, cubic=True)
    atoms.rattle(0.1, seed=0)
    slab = atoms.copy()
    slab.pbc = [True, True, False]
    graph = Graph.of(Structures.from_ase([atoms, slab]), 4.0)
    potential = MTP(elements, 4.0, 10, 4)
    for kernel, difference in zip(potential.nonlinear_design(graph), differences(potential, graph)):
        if kernel.ndim == 4:  # what is asked of a slab is its strain in the plane
            kernel, difference = kernel[:1], difference[:1]
        torch.testing.assert_close(kernel, difference, rtol=1e-6, atol=1e-7)


def test_finds_radial_functions(silicon):
    """Another's, of an MTP; and better ones for a potential of another kind than least squares alone has."""
    train, valid = silicon
    linear = LeastSquares()(small(), train).potential
    fitted = VariableProjection(iterations=15)(small(), train)
    assert rms(fitted.potential, valid) < 0.4 * rms(linear, valid)
    losses = [row["loss"] for row in fitted.history if "loss" in row]
    assert losses[-1] < 0.1 * losses[0] or len(losses) < 15
    teacher = MTP(["Si"], 4.0, 6, 3)
    teacher.c.data *= 10
    pupil = MTP(["Si"], 4.0, 6, 3)
    pupil.w.data += 0.1 * torch.randn(pupil.w.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    data = labeled(teacher, frames(8, 0))
    method = VariableProjection(iterations=25, tolerance=1e-8, least_squares={"ridge": 1e-16, "energies": "none"})
    found = method(pupil, data).potential
    assert rms(found, labeled(teacher, frames(2, 90))) < 1e-4 * float(data.labels.forces.square().mean().sqrt())


def test_goes_on_to_the_last_digit(silicon, tmp_path, monkeypatch):
    """Killed in the second start; what comes then is what would have come. The best on validation frames is kept."""
    train, valid = silicon
    method = VariableProjection(iterations=4, starts=2, spread=0.3)
    whole = method(small(), train, valid, seed=5)

    def stop(done, total, message):
        if message.startswith("loss") and done == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr("adlayer.fitting.levenberg_marquardt._SAVE_EVERY", 0.0)
    with pytest.raises(KeyboardInterrupt):
        method(small(), train, valid, seed=5, folder=tmp_path, progress=stop)
    again = method(small(), train, valid, seed=5, folder=tmp_path)
    for a, b in zip(whole.potential.parameters(), again.potential.parameters()):
        assert torch.equal(a, b)
    assert [row.get("loss") for row in again.history] == [row.get("loss") for row in whole.history]
    assert {row["start"] for row in whole.history if "start" in row} == {0, 1}
    assert (tmp_path / "best.adl").exists()
    with pytest.raises(ValueError, match="holds a fit of another seed"):
        method(small(), train, valid, seed=6, folder=tmp_path)


def test_without_coefficients(silicon):
    """Parameters of a physical potential, by differences: exactly those that the labels were made with."""
    known = LennardJones(epsilon=0.0104, sigma=3.4, cutoff=6.0)
    data = labeled(known, frames(4, 0, "ArAr", "zincblende", 7.4))
    start = LennardJones(epsilon=0.013, sigma=3.3, cutoff=6.0)
    found = VariableProjection(tolerance=1e-12, least_squares={"energies": "none"})(start, data).potential
    torch.testing.assert_close(
        torch.stack([found.epsilon.max(), found.sigma.max()]), torch.tensor([0.0104, 3.4]).double(), rtol=1e-6, atol=0
    )


def test_beside_other_parts(silicon):
    """A sum of one that is linear, one that is neither and reference energies; a frozen one stays as it is."""
    train, _ = silicon
    held = Morse(D=0.5, alpha=1.5, r0=2.4, cutoff=4.0)
    held.requires_grad_(requires_grad=False)
    before = held.D.clone()
    moving = LennardJones(epsilon=0.05, sigma=2.1, cutoff=4.0)
    whole = ReferenceEnergies({"Si": -1.0}) + small() + held + moving
    fitted = VariableProjection(iterations=3)(whole, train)
    assert torch.equal(fitted.potential.parts[2].D, before)
    assert not torch.equal(fitted.potential.parts[3].sigma, moving.sigma)
    losses = [row["loss"] for row in fitted.history if "loss" in row]
    assert min(losses) < rms(LeastSquares()(small(), train).potential, train) ** 2 * 100
    assert fitted.posterior is not None


def test_tangent_is_linear_in_steps():
    graph = Graph.of(frames(1, 0), 4.0)
    potential = small()
    moving = tangent(potential)
    assert steps_of(moving).sum() == potential.w.numel()
    A, c = moving.design(graph), moving.coefficients
    before = potential(graph).energy.sum()
    torch.testing.assert_close(A.energy[0] @ c, before.detach())
    step = 1e-5 * torch.cat([torch.zeros_like(potential.coefficients), torch.ones(potential.w.numel())])
    moving.coefficients = c + step
    torch.testing.assert_close((potential(graph).energy.sum() - before).detach(), A.energy[0] @ step, rtol=1e-4, atol=0)


def test_what_it_does_not_fit(silicon):
    from adlayer.potentials.snap import SNAP

    with pytest.raises(TypeError, match="has none; fit it by LeastSquares"):
        VariableProjection()(SNAP(["Si"], 4.0), silicon[0])
    with pytest.raises(ValueError, match=r"ridge is one number here or 'evidence', got \[1e-08\]"):
        VariableProjection(least_squares={"ridge": [1e-8]})
    with pytest.raises(ValueError, match="iterations and starts must be at least 1"):
        VariableProjection(starts=0)
