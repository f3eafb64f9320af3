"""Potentials of all atoms on waves, for every kind of periodicity, against sums and integrals in real space."""

import numpy as np
import pytest
import torch
from scipy.special import expn

from adlayer.electrostatics.power_law import exponential_integral, power_law, power_law_of_waves
from adlayer.electrostatics.projection import PotentialProjection
from adlayer.electrostatics.radial_functions import RADIAL_FUNCTIONS, RadialFunctions, evaluate_series
from adlayer.nn.spherical_harmonics import spherical_harmonics


def projected(P, positions, cell, pbc, species):
    cell, pbc = torch.as_tensor(cell, dtype=torch.float64), torch.tensor(pbc, dtype=torch.bool)
    return P(torch.as_tensor(positions), cell, pbc, torch.tensor(species)).numpy()


def in_real_space(P, positions, species, center, n=16):
    """By quadrature over the radial functions and a sphere."""
    s, R = P.radial.on_nodes
    kept = np.abs(R).max((0, 2)) > 1e-12 * np.abs(R).max()
    s, R = s[kept], R[:, kept]
    z, w = np.polynomial.legendre.leggauss(n)
    angle = np.pi * np.arange(2 * n) / n
    across = np.sqrt(1 - z**2)[:, None]
    u = np.stack([across * np.cos(angle), across * np.sin(angle), np.broadcast_to(z[:, None], (n, 2 * n))], -1).reshape(
        -1, 3
    )
    Y = spherical_harmonics(P.l_max, torch.from_numpy(u)).numpy() * np.repeat(w, 2 * n)[:, None] * np.pi / n
    V = np.zeros((P.n_elements, len(s), len(u)))
    for r, e in zip(positions, species):
        apart = np.linalg.norm(positions[center] + s[:, None, None] * u - r, axis=-1)
        V[e] += power_law(apart, P.exponent, P.smearing)
    l_of = [l for l in range(P.l_max + 1) for _ in range(2 * l + 1)]
    return np.einsum("esu,um,msn->emn", V, Y, R[l_of])


@pytest.mark.parametrize("exponent", [3, 5, 9])
def test_exponential_integral(exponent):
    x = np.logspace(-12, 2, 80)
    found = exponential_integral(torch.from_numpy(x), exponent).numpy()
    np.testing.assert_allclose(found, expn((exponent - 1) // 2, x), rtol=1e-13)


@pytest.mark.parametrize("exponent", [1, 2, 4, 6])
def test_power_law_is_the_integral_of_its_waves(exponent):
    """``V(r) = 1/(2 pi²) int dk k² V^(k) j_0(k r)``."""
    s, w = np.polynomial.legendre.leggauss(300)
    k = 5 * (s + 1)
    V = power_law_of_waves(torch.from_numpy(k**2), exponent, 0.8).numpy()
    r = np.array([0.0, 0.5, 3.0, 11.0])
    found = (5 * w * k**2 * V * np.sinc(k * r[:, None] / np.pi)).sum(1) / (2 * np.pi**2)
    np.testing.assert_allclose(found, power_law(r, exponent, 0.8), rtol=2e-9, atol=1e-12)


@pytest.mark.parametrize("basis", RADIAL_FUNCTIONS)
def test_radial_functions(basis):
    radial = RadialFunctions(3, 2, 2.5, basis)
    s, R = radial.on_nodes
    w = np.polynomial.legendre.leggauss(240)[1]
    weight = 0.5 * radial.end * w * s**2
    for l in range(3):
        np.testing.assert_allclose((R[l] / weight[:, None]).T @ R[l], np.eye(3), atol=1e-10)
    k = np.array([1e-3, 0.4, 2.0, 5.0])
    found = evaluate_series(torch.from_numpy(radial.series(5.0)), torch.from_numpy(k), 5.0).numpy()
    np.testing.assert_allclose(found, radial.of_waves(k), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("exponent", "basis"), [(1, "gto"), (2, "monomials"), (3, "bessel"), (6, "gto")])
def test_cluster_is_the_integral_in_real_space(exponent, basis):
    rng = np.random.default_rng(1)
    positions, species = rng.uniform(0, 5, (4, 3)), [0, 1, 0, 1]
    P = PotentialProjection(2, exponent, 1.2, 2, 2, 1.5, basis, 5.5)
    found = projected(P, positions, np.zeros((3, 3)), (0, 0, 0), species)[1]
    np.testing.assert_allclose(found, in_real_space(P, positions, species, 1), rtol=0, atol=2e-8)


@pytest.mark.parametrize(("exponent", "power"), [(4, 2), (6, 4)])
def test_growing_vacuum_becomes_a_slab(exponent, power):
    """Images of a slab at ``L`` add ``L^(2-p)``."""
    rng = np.random.default_rng(2)
    positions, species = rng.uniform(0, 3, (4, 3)), [0, 1, 0, 1]
    P = PotentialProjection(2, exponent, 1.2, 2, 2, 1.2, "gto", 5.0)
    cell = np.array([[4.0, 0.3, 0.1], [-0.4, 3.7, 0.3], [0.3, -0.2, 1.0]])
    slab = projected(P, positions, cell, (1, 1, 0), species)
    normal = np.cross(cell[0], cell[1]) / np.linalg.norm(np.cross(cell[0], cell[1]))
    off = []
    for L in (40, 80):
        cell[2] = L * normal
        off.append(projected(P, positions, cell, (1, 1, 1), species) - slab)
    near, far = (np.abs(x).max() for x in off)
    assert near < {4: 5e-3, 6: 5e-6}[exponent]
    assert near / far == pytest.approx(2**power, rel=0.03)
    np.testing.assert_allclose((2**power * off[1] - off[0]) / (2**power - 1), 0, atol=0.02 * far)


def test_growing_vacuum_becomes_a_slab_of_charges():
    """Exactly, but for a constant, where there is neither a charge nor a dipole."""
    rng = np.random.default_rng(3)
    half = rng.uniform(0.3, 2.5, (3, 3))
    positions = np.concatenate([half, half * [1, 1, -1]])
    species, q = [0, 0, 1] * 2, np.array([1.0, -2.0])
    P = PotentialProjection(2, 1, 1.2, 2, 2, 1.2, "gto", 5.5)
    cell = np.diag([4.0, 4.4, 1.0])

    def field(pbc, L):
        cell[2, 2] = L
        return np.einsum("aemn,e->amn", projected(P, positions, cell, pbc, species), q)

    slab = field((1, 1, 0), 1.0)
    near, far = field((1, 1, 1), 40.0) - slab, field((1, 1, 1), 80.0) - slab
    np.testing.assert_allclose(near[:, 1:], 0, atol=2e-8)
    np.testing.assert_allclose(near[:, 0], 2 * far[:, 0], atol=1e-7)  # the mean of the potential over the cell
    assert np.ptp(far[:, 0], axis=0).max() < 1e-8


@pytest.mark.parametrize(("pbc", "slope"), [((1, 1, 0), 2 * np.pi / (3.0 * 3.5)), ((1, 0, 0), 2 / (3.0 * 20.0))])
def test_field_of_a_charged_layer_and_of_a_charged_wire(pbc, slope):
    """``2 pi / A``, and ``2 / (a d)`` at a distance ``d``, 20 Å: by Gauss's law, whatever the functions."""
    P = PotentialProjection(2, 1, 1.0, 2, 1, 1.0, "gto", 6.0)
    found = projected(P, np.array([[0, 0, 0], [0, 0, 20.0]]), np.diag([3.0, 3.5, 1.0]), pbc, [0, 1])
    s, R = P.radial.on_nodes
    np.testing.assert_allclose(found[1, 0, 2], -slope * np.sqrt(4 * np.pi / 3) * (s @ R[1]), rtol=0, atol=1e-7)
    np.testing.assert_allclose(found[1, 0, [1, 3]], 0, atol=1e-7)


@pytest.mark.parametrize("exponent", [3, 6])
def test_wire_is_the_sum_over_images(exponent):
    rng = np.random.default_rng(4)
    positions, species = rng.uniform(0, 3, (3, 3)), [0, 1, 0]
    along = np.array([3.8, 0.6, -0.4])
    P = PotentialProjection(2, exponent, 1.2, 2, 2, 1.0, "gto", 5.0)
    cell = np.array([along, [0, 0, 0], [0, 0, 0]])
    found = projected(P, positions, cell, (1, 0, 0), species)[0]
    n = 40
    images = np.concatenate([positions + m * along for m in [0, *range(-n, 0), *range(1, n + 1)]])
    summed = in_real_space(P, images, species * (2 * n + 1), 0, n=10)
    a = np.linalg.norm(along)
    rest = 2 / (exponent - 1) / (n + 0.5) ** (exponent - 1) / a**exponent  # of 1/(m a)^p, by an integral
    summed[:, 0] += np.array([[2], [1]]) * rest * np.sqrt(4 * np.pi) * P.radial.at_rest
    np.testing.assert_allclose(found, summed, rtol=0, atol={3: 3e-6, 6: 5e-8}[exponent])


def test_waves_that_do_not_fit():
    P = PotentialProjection(1, 1, 0.1, 2, 1, 1.0, "gto", None)
    with pytest.raises(ValueError, match=r"waves of a structure of 1 atoms need .* a smearing of .* would fit"):
        projected(P, np.zeros((1, 3)), np.eye(3) * 900, (1, 1, 1), [0])
