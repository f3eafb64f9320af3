"""Radial bases: their defining properties."""

import pytest
import torch

from adlayer.nn.radial import bessel_basis, gaussian_basis, sinc_basis

r = torch.linspace(0.3, 4.9, 40, dtype=torch.float64)


def test_gaussians_are_one_at_their_centers_and_overlap_at_half_a_spacing():
    centers = torch.linspace(0, 5.0, 6, dtype=torch.float64)
    torch.testing.assert_close(gaussian_basis(centers, 5.0, 6).diagonal(), torch.ones(6, dtype=torch.float64))
    at = gaussian_basis(torch.tensor(2.5, dtype=torch.float64), 5.0, 6)
    torch.testing.assert_close(at[2:4], torch.full((2,), -0.125, dtype=torch.float64).exp())


def test_gaussians_hold_no_denormal_numbers():
    b = gaussian_basis(torch.linspace(0, 5, 1000), 5.0, 40)
    assert b.dtype == torch.float32
    assert b.min() >= 1e-37


def test_bessel_functions_are_orthonormal_in_the_sphere():
    cutoff, n = 5.0, 6
    x, w = torch.linspace(1e-9, cutoff, 4001, dtype=torch.float64), cutoff / 4000
    b = bessel_basis(x, cutoff, n) * x[:, None]
    torch.testing.assert_close((b.T @ b) * w, torch.eye(n, dtype=torch.float64), atol=1e-8, rtol=0)


def test_sinc_functions_vanish_at_the_cutoff():
    at = sinc_basis(torch.tensor([1e-6, 5.0], dtype=torch.float64), 5.0, 4)
    torch.testing.assert_close(at[0], torch.arange(1, 5, dtype=torch.float64) * torch.pi / 5.0)
    torch.testing.assert_close(at[1], torch.zeros(4, dtype=torch.float64), atol=1e-14, rtol=0)


@pytest.mark.parametrize("basis", [gaussian_basis, sinc_basis, bessel_basis])
def test_bases_are_smooth(basis):
    x = r.clone().requires_grad_()
    assert basis(x, 5.0, 6).shape == (40, 6)
    assert torch.autograd.gradcheck(lambda x: basis(x, 5.0, 6), x)
    assert torch.autograd.gradgradcheck(lambda x: basis(x, 5.0, 6), x)
