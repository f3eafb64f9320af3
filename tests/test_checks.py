"""Every law holds for a right potential, and a deliberately wrong one breaks it."""

import pytest
import torch
from torch import nn

from adlayer import Design, PerAtom, Potential
from adlayer.checks import LAWS, LawBroken, check_potential
from adlayer.graph import sum_edges
from adlayer.kernels import use_fused
from adlayer.structures import sum_systems


class Right(Potential):
    """A pair potential ``c (1 - r/r_c)^3`` with nothing wrong; the others each spoil one thing."""

    elements = ("Si", "H")
    cutoff = 4.5

    def __init__(self, strength: float = 0.7):
        super().__init__()
        self.strength = nn.Parameter(torch.tensor([strength], dtype=torch.float64))

    def shape(self, graph):
        r = graph.lengths
        return torch.where(r < self.cutoff, 0.5 * (1 - r / self.cutoff) ** 3, torch.zeros_like(r))

    def forward(self, graph):
        return PerAtom(self.strength * sum_edges(self.shape(graph), graph))

    linear = True

    @property
    def coefficients(self):
        return self.strength.detach()

    @coefficients.setter
    def coefficients(self, values):
        self.strength.data.copy_(values)

    def design(self, graph, forces=True, virial=True):
        vectors = graph.vectors.detach().requires_grad_()
        moved = graph.with_vectors(vectors)
        energy = sum_edges(self.shape(moved), moved)
        g = torch.autograd.grad(energy.sum(), vectors)[0]
        F = sum_edges(g, graph).index_add(0, graph.j, g, alpha=-1)
        W = torch.zeros(graph.n_systems, 3, 3).to(g)
        W = W.index_add(0, graph.structures.system[graph.i], vectors.detach()[:, :, None] * g[:, None, :])
        return Design(sum_systems(energy, graph.structures)[:, None].detach(), F[..., None], W[..., None])


def wrong(law):
    """A potential that breaks one law by what it adds to, or does with, the right one."""

    class Wrong(Right):
        pass

    def forward(function):
        Wrong.forward = lambda self, graph: PerAtom(function(self, graph, Right.forward(self, graph).energy))

    def edge_vector(self, graph, power):
        return sum_edges(self.shape(graph)[:, None] ** power * graph.vectors, graph)

    if law == "rotation":
        forward(lambda self, g, e: e + sum_edges(self.shape(g) * g.vectors[:, 0] ** 2, g))
    elif law == "reflection":
        forward(
            lambda self, g, e: e + 50 * torch.linalg.det(torch.stack([edge_vector(self, g, p) for p in (1, 2, 3)], -1))
        )
    elif law == "permutation":
        forward(lambda self, g, e: e * (1 + torch.arange(g.n_atoms) % 2))
    elif law == "translation":
        Wrong.local = False
        forward(lambda self, g, e: e + 0.1 * g.structures.positions.square().sum(1))
    elif law == "batching":
        forward(lambda self, g, e: e - e.mean())
    elif law == "extensivity":
        forward(lambda self, g, e: e * g.structures.counts[g.structures.system])
    elif law == "separation":
        forward(lambda self, g, e: e / sum_edges((g.lengths < self.cutoff).to(e), g))
    elif law == "longer_list":
        forward(lambda self, g, e: e + 0.1 * sum_edges(1 / g.lengths**2, g))
    elif law == "forces_are_derivatives":
        forward(lambda self, g, e: e * (1 + e.detach()))
    elif law == "stress_is_derivative":
        forward(lambda self, g, e: e + 0.01 * g.structures.cell.square().sum((1, 2))[g.structures.system])
    elif law == "second_derivatives":
        forward(lambda self, g, e: _square_once(e))
    elif law == "smoothness":
        forward(lambda self, g, e: e + sum_edges(0.1 * (g.lengths < self.cutoff).to(e), g))
    elif law == "conservation":
        forward(lambda self, g, e: e + sum_edges(0.1 * (g.lengths < 3.1).to(e), g))
    elif law == "linearity":
        Wrong.design = lambda self, *a: Design(*(2 * x for x in Right.design(self, *a)))
    elif law == "single_precision":
        forward(lambda self, g, e: e + (g.vectors @ torch.eye(3, dtype=torch.float64)).sum() * 0)
    elif law == "saving":
        Wrong.__init__ = _with_hidden_state(Wrong)
        forward(lambda self, g, e: e + self.hidden)
    elif law == "compilation":
        forward(lambda self, g, e: e if e.sum().item() > 0 else 2 * e)
    elif law == "fused_equals_plain":
        forward(lambda self, g, e: e * (1 + 1e-6 * use_fused(e)))
    return Wrong()


class _SquareOnce(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        return 2 * ctx.saved_tensors[0].detach() * g


_square_once = _SquareOnce.apply


def _with_hidden_state(cls):
    def __init__(self):
        Right.__init__(self)
        self.hidden = 0.1 * Potential.__hash__(self) / 2**61

    return __init__


@pytest.mark.parametrize("law", LAWS)
def test_each_law_holds_for_a_right_potential(law):
    check_potential(Right(), [law])


@pytest.mark.parametrize("law", LAWS)
def test_each_law_catches_its_wrong_potential(law):
    with pytest.raises(LawBroken) as broken:
        check_potential(wrong(law), [law])
    assert "Remedy: " in str(broken.value)
    assert law.replace("_", " ") in str(broken.value)


def test_a_class_from_outside_is_checked_in_one_call():
    outcomes = check_potential(Right, ["rotation", "batching"])
    assert [o.holds for o in outcomes] == [True, True]


def test_outcomes_without_raising():
    outcomes = check_potential(wrong("rotation"), ["rotation", "permutation"], raises=False)
    assert [o.holds for o in outcomes] == [False, True]
