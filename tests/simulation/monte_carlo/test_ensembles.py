"""Ensembles against what is known exactly, and fluids against published numbers."""

import numpy as np
import pytest
import torch
from ase import Atoms
from scipy.special import gammaln
from scipy.stats import poisson

from adlayer import Evaluator, Prediction
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.simulation import run
from adlayer.simulation.monte_carlo import (
    ChemicalDifference,
    Composition,
    Displacement,
    Exchange,
    Flip,
    Gas,
    MonteCarlo,
    Pressure,
    Rotation,
    Volume,
    ideal_gas,
    wavelength,
)
from adlayer.simulation.monte_carlo.ideal_gas import BAR
from adlayer.structures import sum_systems
from adlayer.units import BOLTZMANN, GPA, KJ_PER_MOL

T = 300.0
kT = BOLTZMANN * T


def ideal(structures):
    return Prediction(structures.positions.new_zeros(len(structures)))


def test_ideal_gas_has_a_poisson_distribution():
    """``<N> = zV``, and all of its distribution; from an empty cell."""
    box, expected = Atoms(cell=[20, 20, 20], pbc=True), 5.0
    gas = Gas("Ar", pressure=expected * kT / 20**3 / BAR)
    done = run(MonteCarlo(T, gases=[gas], steps=150, closest=0.0), ideal, [box] * 1000, every=150)
    n = done.log["number of Ar"][-1]
    counts = np.bincount(n.astype(int), minlength=12)[:12]
    p = poisson.pmf(np.arange(12), expected)
    chi2 = ((counts - 1000 * p) ** 2 / (1000 * p)).sum()
    assert chi2 < 30  # 11 degrees of freedom: exceeded by chance once in 600 times
    assert n.mean() == pytest.approx(expected, abs=0.25)


def test_ideal_gas_at_constant_pressure():
    """``<V> = (N + 1) k_B T / p``, and its variance ``(N + 1) (k_B T / p)²``; of a slab, the same of its area."""
    atoms = Atoms("Ar4", np.random.default_rng(0).uniform(0, 9, (4, 3)), cell=[10, 10, 10], pbc=True)
    engine = MonteCarlo(T, [Volume(step=1.0)], reservoirs=[Pressure(kT / 200 / GPA)], steps=120, closest=0.0)
    V = run(engine, ideal, [atoms] * 1500, every=120).log["volume (Å³)"][-1]
    assert V.mean() == pytest.approx(1000, rel=0.05)
    assert V.std() == pytest.approx(200 * 5**0.5, rel=0.08)
    atoms.pbc = (True, True, False)
    engine = MonteCarlo(T, [Volume(step=1.0)], reservoirs=[Pressure(kT / 20 / 0.0624150907)], steps=120, closest=0.0)
    done = run(engine, ideal, [atoms] * 1500, every=120)
    assert done.log["area (Å²)"][-1].mean() == pytest.approx(100, rel=0.05)
    assert torch.equal(done.structures.cell[:, 2], torch.tensor([[0.0, 0.0, 10.0]] * 1500).double())


def regular_solution(omega, n):
    """``E = omega N x (1 - x)``: the mean-field alloy, exactly."""

    def evaluate(structures):
        x = sum_systems((structures.numbers == 46).double(), structures) / n
        return Prediction(omega * n * x * (1 - x))

    k = np.arange(n + 1)
    x = k / n
    return evaluate, lambda extra: _mean(
        gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), omega * n * x * (1 - x), extra, x
    )


def _mean(entropy, energy, extra, x):
    ln_p = entropy - energy / kT + extra(x)
    p = np.exp(ln_p - ln_p.max())
    return (p * x).sum() / p.sum()


def test_regular_solution():
    """Semi-grand canonical: the isotherm, summed exactly; variance-constrained: the same isotherm from its fields."""
    n, omega = 40, 1.2 * kT
    evaluate, exact = regular_solution(omega, n)
    alloy = Atoms("AgPd" * (n // 2), np.zeros((n, 3)), cell=[9, 9, 9], pbc=True)
    mu = np.array([-2.0, 0.0, 1.0]) * kT
    flips = {"moves": [Flip(["Ag", "Pd"])], "steps": 500, "equilibration": 0, "closest": 0.0}
    mus = np.repeat(mu, 60).tolist()
    engine = MonteCarlo(T, reservoirs=[ChemicalDifference({"Ag": 0.0, "Pd": mus})], **flips)
    found = run(engine, evaluate, [alloy] * 180, every=20).log["fraction of Pd"][8:].mean(0).reshape(3, 60).mean(1)
    for x, m in zip(found, mu):
        assert x == pytest.approx(exact(lambda x, m=m: m * n * x / kT), abs=0.02)
    targets, kappa = [0.2, 0.5, 0.7], 5.0
    target = np.repeat(targets, 60).tolist()
    hold = Composition({"Ag": [1 - t for t in target], "Pd": target}, kappa=kappa)
    held = run(MonteCarlo(T, reservoirs=[hold], **flips), evaluate, [alloy] * 180, every=20).log["fraction of Pd"][8:]
    for x, t in zip(held.mean(0).reshape(3, 60).mean(1), targets):
        assert x == pytest.approx(exact(lambda x, t=t: -2 * kappa * n * (x - t) ** 2), abs=0.01)
        difference = -4 * kappa * kT * (x - t)  # what a semi-grand canonical ensemble of this composition has
        assert exact(lambda x, m=difference: m * n * x / kT) == pytest.approx(x, abs=0.03)  # they differ by 1/N


def test_replicas_find_both_wells():
    """Populations of two wells 0.04 eV apart in depth, at temperatures at which no atom crosses the 0.35 eV between."""

    def energy(x):
        return 0.35 * (x * x - 1) ** 2 + 0.02 * x

    def evaluate(structures):
        x, rest = structures.positions[:, 0], structures.positions[:, 1:]
        return Prediction(energy(x) + rest.square().sum(1))

    ladder = np.array([300.0, 480.0, 760.0, 1200.0, 1900.0])
    start, every = Atoms("Ar", [[1.0, 0, 0]]), {"closest": 0.0, "moves": [Displacement(0.4)]}
    alone = run(MonteCarlo(300.0, steps=200, **every), evaluate, [start] * 200)
    assert bool((alone.structures.positions[:, 0] > 0).all())
    engine = MonteCarlo(np.tile(ladder, 100).tolist(), steps=1300, exchange_every=3, **every)
    done = run(engine, evaluate, [start] * 500, every=10)
    E = done.log["potential energy (eV)"][65:].reshape(-1, 100, 5).mean((0, 1))
    x, kTs = np.linspace(-2.5, 2.5, 2001), BOLTZMANN * ladder[:, None]
    w = np.exp(-energy(x) / kTs)
    expected = (w * energy(x)).sum(1) / w.sum(1) + kTs[:, 0]
    assert E[:3] == pytest.approx(expected[:3], abs=0.007)  # 0.03 higher in the wrong well
    assert (np.diff(done.log["replica"], axis=0) != 0).mean() > 0.3


class Sites:
    """Places that bind one diatomic molecule each by ``strength + pull (r - r0) + turn cos(angle)``."""

    def __init__(self, places, radius, strength, turn=0.0, pull=0.0, stiffness=0.0, r0=1.15):
        self.places, self.radius, self.r0 = torch.tensor(places), radius, r0
        self.strength, self.turn, self.pull, self.stiffness = strength, turn, pull, stiffness

    def __call__(self, structures):
        x = structures.positions.reshape(-1, 2, 3)
        d = x[:, 1] - x[:, 0]
        r = torch.linalg.vector_norm(d, dim=-1)
        owner = structures.system[::2]
        inside = (
            torch.linalg.vector_norm(x.mean(1)[:, None] % 12.0 - self.places, dim=-1) < self.radius
        ) & structures.pbc[owner, :1]
        E = 0.5 * self.stiffness * (r - self.r0) ** 2
        E = E - inside.any(1) * (self.strength + self.turn * d[:, 2] / r + self.pull * (r - self.r0))
        crowd = torch.zeros(len(structures), len(self.places)).index_add(0, owner, inside.float()).amax(1)
        E = E.new_zeros(len(structures)).index_add(0, owner, E)
        f = self.stiffness * ((r - self.r0) / r)[:, None] * d
        return Prediction(torch.where(crowd > 1, torch.inf, E), torch.stack([f, -f], 1).reshape(-1, 3))


PLACES = [[3.0, 3.0, 3.0], [9.0, 3.0, 3.0], [3.0, 9.0, 3.0], [9.0, 9.0, 3.0]]
RADIUS = 1.5


def occupied(sites, gas, moves, n=200, steps=500, temperature=T):
    box = Atoms(cell=[12, 12, 12], pbc=True)
    engine = MonteCarlo(temperature, moves, gases=[gas], steps=steps, equilibration=0, closest=0.0)
    done = run(engine, sites, [box] * n, every=10)
    return done.log["number of CO"][len(done.log["step"]) // 3 :].mean(), done


def test_rigid_molecules_on_places_are_a_lattice_gas():
    """Langmuir's isotherm, with the partition function of a molecule that likes to stand: ``sinh(b) / b``."""
    bound, turn, z = 1.0 * kT, 2.0 * kT, 2.0 / 12**3
    sites = Sites(PLACES, RADIUS, bound, turn)
    gas = Gas("CO", pressure=z * kT / BAR)
    found, done = occupied(sites, gas, [Exchange("CO", weight=4.0), Rotation(60.0), Displacement(1.0)])
    v = 4 / 3 * np.pi * RADIUS**3
    K = z * v * np.exp(bound / kT) * np.sinh(turn / kT) / (turn / kT)
    assert found == pytest.approx(4 * K / (1 + K) + z * (12**3 - 4 * v), rel=0.02)
    assert torch.allclose(sites(done.structures).energy, done.prediction.energy)


def test_flexible_molecules_on_places_are_a_lattice_gas():
    """The same with a bond that the place stretches: the ratio of two integrals over its length."""
    hot, k = 2000.0, 8.0  # K, eV/Å²
    b = 1 / (BOLTZMANN * hot)
    bound, pull, z = 1.5 / b, 1.0, 2.0 / 12**3
    sites = Sites(PLACES, RADIUS, bound, 0.0, pull, k)
    gas = Gas("CO", pressure=z / b / BAR, flexible=True, conformations=4000)
    moves = [Exchange("CO", weight=2.0), Displacement(1.0), Displacement(0.1, whole=False)]
    found, _ = occupied(sites, gas, moves, temperature=hot)
    r = np.linspace(0.2, 2.5, 4000)
    free = r**2 * np.exp(-b * 0.5 * k * (r - 1.15) ** 2)
    v = 4 / 3 * np.pi * RADIUS**3
    K = z * v * np.exp(b * bound) * (free * np.exp(b * pull * (r - 1.15))).sum() / free.sum()
    assert found == pytest.approx(4 * K / (1 + K) + z * (12**3 - 4 * v), rel=0.025)


def activity(T_reduced, ln_z, cutoff, truncation, n, length, copies, steps, seed=0):
    """Density of a Lennard-Jones fluid at an activity, in reduced units, and its standard error."""
    temperature = T_reduced / BOLTZMANN
    m = int(np.ceil(n ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(m)] * 3), -1).reshape(-1, 3)[:: max(1, m**3 // n)][:n]
    atoms = Atoms(f"Ar{n}", grid * (length / m), cell=[length] * 3, pbc=True)
    mu = T_reduced * (ln_z + 3 * np.log(wavelength(atoms.get_masses()[0], temperature)))
    gas = Gas("Ar", mu=mu, reference="isolated")
    engine = MonteCarlo(temperature, [Exchange("Ar"), Displacement(0.3)], gases=[gas], steps=steps)
    done = run(engine, Evaluator(LennardJones(1.0, 1.0, cutoff, truncation)), [atoms] * copies, seed, every=10)
    density = done.log["number of Ar"][done.log["step"] > 0.4 * steps].mean(0) / length**3
    return density.mean(), density.std() / copies**0.5


def kolafa_nezbeda(reference, T, rho):
    """Excess chemical potential of the Lennard-Jones fluid: Kolafa and Nezbeda, Fluid Phase Equilib. 100, 1 (1994)."""
    c = reference("kolafa_nezbeda.json")
    d = sum(x * T ** (float(i) / 2) for i, x in c["diameter"].items()) + c["diameter_log"] * np.log(T)
    B = sum(x * T ** (float(i) / 2) for i, x in c["virial"].items())

    def A(rho):
        y = np.pi / 6 * rho * d**3
        hard = 5 / 3 * np.log(1 - y) + y * (34 - 33 * y + 4 * y * y) / (6 * (1 - y) ** 2)
        rest = sum(x * T ** (float(i) / 2) * rho ** int(j) for i, row in c["C"].items() for j, x in row.items())
        return T * (hard + rho * B * np.exp(-c["gamma"] * rho**2)) + rest

    return A(rho) + rho * (A(rho + 1e-5) - A(rho - 1e-5)) / 2e-5


def at_density(reference, T, rho, cutoff):
    """``ln z`` at which the fluid, truncated at a cutoff, has this density: the tail is taken off in mean field."""
    tail = 16 / 3 * np.pi * rho * (cutoff**-9 / 3 - cutoff**-3)
    return (kolafa_nezbeda(reference, T, rho) - tail) / T + np.log(rho)


def test_lennard_jones_gas(reference):
    """A gas whose density is a fifth above that of the ideal one at the same activity."""
    ln_z = at_density(reference, 2.0, 0.1, 2.5)
    assert np.exp(ln_z) < 0.085
    rho, error = activity(2.0, ln_z, 2.5, "none", 12, 5.0, 48, 400)
    assert error < 0.004
    assert rho == pytest.approx(0.1, abs=3 * error)


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.3, 0.5])
def test_lennard_jones_fluid(reference, rho):
    found, error = activity(2.0, at_density(reference, 2.0, rho, 2.5), 2.5, "none", round(125 * rho), 5.0, 48, 3000)
    assert error < 0.02 * rho
    assert found == pytest.approx(rho, abs=3.5 * error)


@pytest.mark.slow
def test_lennard_jones_vapor_of_nist():
    """Saturated vapor at T* = 0.9, linear-force shifted at 3 sigma: NIST Standard Reference Simulation Website."""
    found, error = activity(0.9, -3.549, 3.0, "force", 23, 8.0, 24, 4000)
    assert error < 0.04 * 0.04502
    assert found == pytest.approx(0.04502, abs=3.5 * error)


def test_chemical_potentials_of_gases():
    """``H(298) - T S`` from 0 K of the JANAF tables (kJ/mol), and Reuter and Scheffler's table for oxygen."""
    tables = {
        "H2": 8.467 - 298.15 * 0.130680,
        "O2": 8.683 - 298.15 * 0.205147,
        "N2": 8.670 - 298.15 * 0.191609,
        "CO": 8.671 - 298.15 * 0.197653,
        "CO2": 9.364 - 298.15 * 0.213795,
        "H2O": 9.904 - 298.15 * 0.188834,
        "CH4": 10.016 - 298.15 * 0.186251,
        "Ar": 6.197 - 298.15 * 0.154845,
    }
    for of, value in tables.items():
        assert ideal_gas(of, 298.15, zero_point=False) == pytest.approx(value * KJ_PER_MOL, abs=0.002), of
    for temperature, mu in {300: -0.27, 600: -0.61, 1000: -1.10}.items():
        assert ideal_gas("O2", temperature, zero_point=False) / 2 == pytest.approx(mu, abs=0.006)
    shift = ideal_gas("H2", 500.0, 2.0) - ideal_gas("H2", 500.0)
    assert shift == pytest.approx(BOLTZMANN * 500 * np.log(2))
    assert ideal_gas("H2", 500.0) - ideal_gas("H2", 500.0, zero_point=False) == pytest.approx(0.258, abs=1e-3)
