"""Fused messages against their definition: values, first and second derivatives, of everything by everything."""

import pytest
import torch
from ase import Atoms
from ase.build import bulk

from adlayer import Graph, Structures, kernels
from adlayer.kernels import messages
from adlayer.nn.messages import gated_messages

F, K = 5, 4
NAMES = ("x", "v", "basis", "weights", "directions")


def graph(kind: str) -> Graph:
    atoms = {
        "crystal": lambda: bulk("Cu") * (2, 1, 1),  # neighbors of neighbors are images of each other
        "batch": lambda: [bulk("Cu", cubic=True), Atoms("H"), Atoms("H3", [[0, 0, 0], [1, 0, 0], [0, 1.5, 0]])],
        "empty": lambda: Atoms("H2", [[0, 0, 0], [50, 0, 0]]),
    }[kind]()
    return Graph.of(Structures.from_ase(atoms), 4.0)


def arguments(g: Graph, dtype=torch.float64) -> list[torch.Tensor]:
    make = torch.Generator().manual_seed(3)
    shapes = ((g.n_atoms, 3 * F), (g.n_atoms, 3, F), (g.n_edges, K), (K, 3 * F), (g.n_edges, 3))
    return [torch.randn(s, dtype=dtype, generator=make).requires_grad_() for s in shapes]


def close(a, b, **tolerances):
    a, b = ([torch.zeros(0) if y is None else y for y in ys] for ys in (a, b))
    for p, q in zip(a, b, strict=True):
        torch.testing.assert_close(p, q, **tolerances)


def derivatives(g: Graph, names=NAMES):
    """Values, first derivatives, and second ones: of a random combination of the first, by all arguments."""
    tensors = arguments(g)
    wanted = [t for t, n in zip(tensors, NAMES) if n in names]
    make = torch.Generator().manual_seed(5)

    def some(ys):
        return sum((y * torch.randn(y.shape, dtype=y.dtype, generator=make)).sum() for y in ys)

    values = gated_messages(*tensors, g)
    outer = [torch.randn(y.shape, dtype=y.dtype, generator=make).requires_grad_() for y in values]
    first = torch.autograd.grad(values, wanted, outer, create_graph=True)
    second = torch.autograd.grad(some(first), [*tensors, *outer], allow_unused=True)
    return values, first, [torch.zeros_like(t) if d is None else d for d, t in zip(second, [*tensors, *outer])]


@pytest.mark.parametrize("names", [NAMES, ("basis", "directions"), ("weights",)], ids="-".join)
@pytest.mark.parametrize("kind", ["crystal", "batch", "empty"])
@pytest.mark.parametrize("edges", [768, 7], ids=["one chunk", "many chunks"])
def test_fused_is_plain(kind, names, edges, monkeypatch):
    monkeypatch.setattr(messages, "_EDGES", edges)
    g = graph(kind)
    fused = derivatives(g, names)
    with kernels.plain():
        plain = derivatives(g, names)
    for f, p in zip(fused, plain):
        close(f, p, rtol=1e-12, atol=1e-12)


def test_single_precision():
    g = graph("batch")
    fused = gated_messages(*arguments(g, torch.float32), g)
    with kernels.plain():
        close(fused, gated_messages(*arguments(g, torch.float32), g), rtol=1e-5, atol=1e-5)
    assert fused[0].dtype == torch.float32


def test_the_operators_tell_compilers_the_truth():
    g = graph("crystal")
    x, v, basis, weights, u = arguments(g)
    topology = g.first, g.j, g.reverse
    checks = ("test_schema", "test_faketensor", "test_autograd_registration")
    torch.library.opcheck(messages._messages, (x, v, basis, weights, u, *topology), test_utils=checks)
    gs, gv = (torch.randn_like(y) for y in (v[:, 0], v))
    for asked in ((True, True), (True, False), (False, True)):
        given = (gs, gv, x, v, basis, weights, u, *topology, *asked)
        torch.library.opcheck(messages._vjp, given, test_utils=checks)
    given = (gs, gv, x, v, basis, weights, u, x, v, basis, None, u, *topology, True, True)
    torch.library.opcheck(messages._vjp_vjp, given, test_utils=checks[:2])
