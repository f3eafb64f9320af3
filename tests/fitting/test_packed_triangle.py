import pytest
import torch

from adlayer.fitting.packed_triangle import PackedTriangle

N = 23


@pytest.fixture
def square():
    A = torch.randn(N, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return A @ A.T


def packed(square, panel, step):
    K = PackedTriangle(N, panel)
    for k in range(0, N, step):
        K.set_rows(k, square[k : k + step, : k + step])
    return K


@pytest.mark.parametrize(("panel", "step"), [(1, 3), (5, 2), (5, 11), (100, 4)])
def test_solves_as_the_square_does(square, panel, step):
    left_out = torch.arange(N) % 7 == 3
    K = packed(square, panel, step)
    K.leave_out(left_out)
    diagonal = torch.linspace(1, 2, N, dtype=torch.float64)
    K.add_diagonal(diagonal)
    square[left_out], square[:, left_out] = 0.0, 0.0
    square.diagonal().add_(diagonal)
    y = diagonal.cos()
    assert K.factor() == pytest.approx(float(torch.logdet(square)), rel=1e-12)
    torch.testing.assert_close(K.solve(y), torch.linalg.solve(square, y), rtol=1e-11, atol=1e-14)


def test_takes_half_the_memory(square):
    K = packed(square, 4, 4)
    assert 4 * N**2 < 8 * sum(panel.numel() for panel in K.panels) <= PackedTriangle.bytes(N, 4) < 0.6 * 8 * N**2


def test_says_that_it_is_not_positive(square):
    square[9, 9] = -1.0
    with pytest.raises(ValueError, match="singular to rounding"):
        packed(square, 4, 4).factor()
