import numpy as np
import pytest
import torch

from adlayer.nn.radial_polynomials import RadialPolynomials, preset

NAMES = ["agnesi", "morse", "inverse", "chebyshev", "bessel"]


@pytest.mark.parametrize("name", NAMES)
def test_vanish_with_their_slope_at_the_cutoff(name):
    r = torch.tensor([4.9999, 5.0, 5.1], dtype=torch.float64, requires_grad=True)
    R = preset(name, 8, 5.0)(r, torch.full_like(r, 2.5))
    (slope,) = torch.autograd.grad(R.sum(), r)
    assert R.abs().max() < 1e-5
    assert slope.abs().max() < 0.05
    assert not R[1:].any()


@pytest.mark.parametrize("name", [*NAMES, "repulsive"])
def test_polynomials_are_orthonormal(name):
    """In y, by a rule of its own: Gauss-Legendre in the angle whose cosine y is."""
    f = RadialPolynomials(6, 5.0, "inverse", "repulsive") if name == "repulsive" else preset(name, 6, 5.0)
    t, w = np.polynomial.legendre.leggauss(200)
    t, w = np.pi * (t + 1) / 2, np.pi / 2 * w
    y = np.cos(t)
    weight = {
        "chebyshev": np.full_like(t, 1 / np.pi),
        "bessel": (np.sin(t) * (1 + y)) ** 2,
        "repulsive": np.sin(t),
    }.get(name, (1 - y * y) ** 4 * np.sin(t))
    p = [np.full_like(y, f.first)]
    for n, (a, b, c) in enumerate(f.recursion.numpy()[:-1]):
        p.append((a * y - b) * p[n] - (c * p[n - 1] if n else 0))
    np.testing.assert_allclose(np.einsum("ni,mi,i->nm", p, p, w * weight), np.eye(6), atol=1e-12)


def test_bessel_equals_the_published_recursion():
    """Simplified spherical Bessel functions of Kocer et al., Eqs. 1-4, up to a common factor."""
    rc, N = 5.0, 7
    r = torch.linspace(0.1, 4.9, 50, dtype=torch.float64)
    x = r.numpy()

    def f(n):
        a, b = (n + 1) * np.pi / rc, (n + 2) * np.pi / rc
        s = (-1) ** n * np.sqrt(2) * np.pi / rc**1.5 * (n + 1) * (n + 2) / np.hypot(n + 1, n + 2)
        return s * (np.sin(a * x) / (a * x) + np.sin(b * x) / (b * x))

    g, d = [f(0)], [1.0]
    for n in range(1, N):
        e = n**2 * (n + 2) ** 2 / (4 * (n + 1) ** 4 + 1)
        d.append(1 - e / d[n - 1])
        g.append((f(n) + np.sqrt(e / d[n - 1]) * g[n - 1]) / np.sqrt(d[n]))
    R = preset("bessel", N, rc)(r, torch.full_like(r, 2.5)).numpy().T
    factor = g[0][0] / R[0][0]
    for n in range(N):
        sign = np.sign(g[n][0] * R[n][0])
        np.testing.assert_allclose(R[n] * factor * sign, g[n], atol=1e-10)


def test_agnesi_is_steepest_at_r0():
    r = torch.linspace(0.5, 6.0, 5501, dtype=torch.float64, requires_grad=True)
    x = RadialPolynomials(1, 6.0).x(r, torch.full_like(r, 2.5))
    (slope,) = torch.autograd.grad(x.sum(), r)
    assert float(r[slope.abs().argmax()].detach()) == pytest.approx(2.5, abs=2e-3)


def test_misspelt_name():
    with pytest.raises(ValueError, match="did you mean 'agnesi'"):
        preset("agnezi", 3, 5.0)
