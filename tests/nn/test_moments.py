import pytest
import torch

from adlayer.nn.active_subspace import Moments


def values(n=4000, rank=5):
    """Correlated sums whose last direction does not vary."""
    generator = torch.Generator().manual_seed(0)
    M = torch.randn(rank, rank, generator=generator, dtype=torch.float64)
    M[-1] = 0.0
    return torch.randn(n, rank, generator=generator, dtype=torch.float64) @ M + torch.arange(1.0, rank + 1).double()


@pytest.mark.parametrize("l", [0, 2])
def test_an_energy_along_one_direction_has_one_channel(l):
    """``E = g·A``: the channel is ``g·A`` of variance 1, and as important as ``g·A`` varies."""
    A, g = values(), torch.tensor([0.3, -1.0, 0.5, 0.2, 0.0], dtype=torch.float64)
    moments = Moments(5)
    for part in A.split(900):
        moments.add(part, g.expand(len(part), -1))
    U, s, mean = moments.directions(3, l)
    q, e = A @ U[0], A @ g
    if l == 0:
        assert float(mean[0]) == pytest.approx(float(q.mean()))
        q, e = q - q.mean(), e - e.mean()
    spread = e.square().mean().sqrt()
    assert float(s[0]) == pytest.approx((2 * l + 1) ** 0.5 * float(spread))
    assert float(s[1:].max()) < 1e-6 * float(s[0])
    torch.testing.assert_close(q.abs(), (e / spread).abs())


def test_channels_are_independent_and_in_the_order_of_what_they_do():
    A = values() - values().mean(0)
    moments = Moments(5)
    moments.add(A, torch.stack([3 * A[:, 0], A[:, 1], 0.1 * A[:, 2], torch.ones(len(A)), A[:, 4]], 1))
    U, s, _ = moments.directions(9, 1)
    assert len(U) == 4  # one direction is flat
    assert (s.diff() < 0).all()
    torch.testing.assert_close((A @ U.T).T @ (A @ U.T) / len(A), torch.eye(4, dtype=torch.float64))
