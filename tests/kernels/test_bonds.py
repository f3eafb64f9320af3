"""Fused and plain definitions give the same derivatives, of any order and by whatever."""

import pytest
import torch
from ase.build import bulk

from adlayer import Graph, Structures, evaluate, kernels
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.potentials.stillinger_weber import StillingerWeber
from adlayer.potentials.tersoff import Tersoff


def silicon():
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.1, seed=1)
    return atoms


@pytest.mark.parametrize("family", [StillingerWeber, Tersoff])
def test_derivatives(family):
    p = StillingerWeber() if family is StillingerWeber else Tersoff.silicon(1988)  # of 1989: lambda3 = 0
    s = Structures.from_ase([silicon(), silicon()[:5]])
    weights = torch.linspace(-1, 2, s.n_atoms, dtype=torch.float64)
    graph = Graph.of(s, p.cutoff)
    parameters = list(p.parameters())

    def derivatives():
        vectors = graph.vectors.clone().requires_grad_()
        E = (weights * p(graph.with_vectors(vectors)).energy).sum()
        (by_vectors,) = torch.autograd.grad(E, vectors, retain_graph=True)
        by_parameters = torch.autograd.grad(E, parameters, retain_graph=True)
        (G,) = torch.autograd.grad(E, vectors, create_graph=True)
        mixed = torch.autograd.grad((G**2).sum(), [vectors, *parameters], retain_graph=True)
        by_A = torch.autograd.grad(E, p.tables["A"], create_graph=True)[0]
        (back,) = torch.autograd.grad(by_A.sum(), vectors)
        return [by_vectors, *by_parameters, *mixed, back]

    fused = derivatives()
    with kernels.plain():
        plain = derivatives()
    for x, y in zip(fused, plain, strict=True):
        assert y.abs().max() > 0
        torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-9)


def test_two_calls_do_not_share_what_they_remember():
    p = StillingerWeber()
    graph = Graph.of(Structures.from_ase(silicon()), p.cutoff)
    first = evaluate(p, graph, create_graph=True)
    second = evaluate(p, graph)
    torch.testing.assert_close(first.forces.detach(), second.forces, rtol=0, atol=1e-12)
    first.forces.square().sum().backward()
    assert p.tables["A"].grad is not None


@pytest.mark.parametrize("truncation", ["none", "energy", "force"])
def test_lennard_jones(truncation):
    p = LennardJones({"Si": 0.4, "C": 0.3}, {"Si": 2.1, "C": 1.9}, 4.0, truncation)
    atoms = silicon()
    atoms.symbols[::3] = "C"
    s = Structures.from_ase([atoms, atoms[:5]])
    fused = evaluate(p, s)
    with kernels.plain():
        plain = evaluate(p, s)
    for name in ("energies", "forces", "stress"):
        x, y = getattr(fused, name), getattr(plain, name)
        assert y.abs().max() > 0
        torch.testing.assert_close(x, y, rtol=1e-12, atol=1e-12)
