import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from adlayer.nn.spherical_harmonics import spherical_harmonics


def directions(n, seed=0):
    v = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return v / v.norm(dim=-1, keepdim=True)


def sphere(n_theta=16, n_phi=32):
    """Points and weights that integrate polynomials up to degree 2 n_theta - 1 exactly."""
    z, w = np.polynomial.legendre.leggauss(n_theta)
    phi = 2 * np.pi * np.arange(n_phi) / n_phi
    s = np.sqrt(1 - z**2)[:, None]
    points = np.stack([s * np.cos(phi), s * np.sin(phi), np.repeat(z[:, None], n_phi, 1)], -1).reshape(-1, 3)
    return torch.tensor(points), torch.tensor(np.repeat(w, n_phi) * 2 * np.pi / n_phi)


def test_orthonormal():
    points, weights = sphere()
    Y = spherical_harmonics(6, points)
    torch.testing.assert_close(Y.T @ (weights[:, None] * Y), torch.eye(49, dtype=torch.float64), rtol=0, atol=1e-13)


def test_equals_scipy():
    """The real and imaginary parts of the complex harmonics, freed of the Condon-Shortley sign."""
    u = directions(20)
    theta, phi = torch.arccos(u[:, 2]).numpy(), torch.arctan2(u[:, 1], u[:, 0]).numpy()
    Y = spherical_harmonics(5, u).numpy()
    for l in range(6):
        for m in range(-l, l + 1):
            complex_one = sph_harm_y(l, abs(m), theta, phi) * (-1) ** m
            part = complex_one.real if m >= 0 else complex_one.imag
            np.testing.assert_allclose(Y[:, l * (l + 1) + m], part * (np.sqrt(2) if m else 1), atol=1e-13)


def test_smooth_at_the_poles():
    north = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)

    def of_vector(v):
        return spherical_harmonics(4, v / v.norm())

    assert torch.autograd.gradcheck(of_vector, north)
    assert torch.autograd.gradgradcheck(of_vector, north)


@pytest.mark.parametrize("l", range(5))
def test_addition_theorem(l):
    u, v = directions(7), directions(7, seed=1)
    block = slice(l * l, (l + 1) ** 2)
    dot = (spherical_harmonics(l, u)[:, block] * spherical_harmonics(l, v)[:, block]).sum(-1)
    legendre = np.polynomial.legendre.Legendre.basis(l)((u * v).sum(-1).numpy())
    np.testing.assert_allclose(dot.numpy(), (2 * l + 1) / (4 * np.pi) * legendre, atol=1e-13)
