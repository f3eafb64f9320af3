"""Potentials of pairs and triplets on splines against themselves."""

import pytest
import torch
from ase.build import bulk, fcc100

from adlayer import Graph, Structures, evaluate, kernels
from adlayer.nn.splines import b_spline_coefficients, b_spline_weights
from adlayer.potentials.flare import FLARE
from adlayer.potentials.gap import TripletGP
from adlayer.potentials.morse import Morse
from adlayer.potentials.snap import SNAP
from adlayer.potentials.stillinger_weber import StillingerWeber
from adlayer.potentials.tabulated import Tabulated
from adlayer.tabulation import tabulate
from adlayer.threads import use_threads


@pytest.fixture(scope="module")
def flare():
    """Unfitted: random weights of few points, which is as good a function."""
    return FLARE(["Al", "Ag"], 5.0, 3.8, pairs=8, triangles=6, sigma_3=0.01)


@pytest.fixture(scope="module")
def slab():
    atoms = fcc100("Ag", (2, 2, 3), a=4.1, vacuum=5.0)
    atoms.numbers[::3] = 13
    atoms.rattle(0.1, seed=2)
    return Structures.from_ase(atoms)


def largest(a, b):
    return float((a - b).abs().max())


def test_splines_of_cubics_are_exact():
    x = torch.linspace(0, 1, 9, dtype=torch.float64)
    f = 1 - x + 3 * x**2 - 2 * x**3
    at = 8 * torch.linspace(0, 1, 50, dtype=torch.float64)
    m, w = b_spline_weights(at, 8)
    c = b_spline_coefficients(f[None], 1)[0]
    said = (c[m[:, None] + torch.arange(4)] * w).sum(1)
    torch.testing.assert_close(said, 1 - at / 8 + 3 * (at / 8) ** 2 - 2 * (at / 8) ** 3)


def test_mapped_is_explicit_within_the_stated_error(flare, slab):
    mapped = tabulate(flare, begin=1.8, pairs=150, triplets=32)
    assert mapped.forces < 1e-5
    explicit, splines = evaluate(flare, slab), evaluate(mapped.potential, slab)
    assert largest(explicit.energies, splines.energies) < 2 * mapped.energy
    assert largest(explicit.forces, splines.forces) < 2 * mapped.forces
    finer = tabulate(flare, begin=1.8, pairs=300, triplets=64, structures=slab)
    assert finer.forces < largest(explicit.forces, splines.forces) / 6  # at least of third order


@pytest.mark.parametrize(
    ("potential", "tolerance"),
    [
        (StillingerWeber(), 3e-2),
        (TripletGP(["Si"], 4.0, 4), 5e-2),
        (Morse({"Si": 0.3}, 1.5, 2.4, 6.0), 1e-5),
    ],
)
def test_what_else_can_be_mapped(potential, tolerance):
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.1, seed=1)
    mapped = tabulate(potential, begin=1.7, pairs=300, triplets=24, structures=Structures.from_ase(atoms))
    scale = float(evaluate(potential, Structures.from_ase(atoms)).forces.abs().max())
    assert mapped.forces < tolerance * scale


def test_what_cannot_be_mapped_is_refused():
    with pytest.raises(ValueError, match="no sum of pairs and triplets"):
        tabulate(SNAP(["Si"], twojmax=2))
    with pytest.raises(ValueError, match="any element"):
        tabulate(Morse())


@pytest.mark.parametrize("third", ["side", "cosine"])
def test_kernel(third, slab):
    """Single precision, threads, and derivatives along a direction."""
    potential = Tabulated(["Al", "Ag"], 4.5, 3.8, 1.5, 30, 12, third)
    graph = Graph.of(slab, 5.0)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-6)):
        p, g = potential.to(dtype), graph.to(dtype)
        fused = evaluate(p, g)
        with kernels.plain():
            plain = evaluate(p, g)
        assert fused.forces.dtype == dtype
        assert largest(fused.energies, plain.energies) < tolerance
        assert largest(fused.forces, plain.forces) < 10 * tolerance
    potential = potential.double()
    vectors, t = graph.vectors, torch.randn(graph.vectors.shape, generator=torch.Generator().manual_seed(0)).double()
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(vectors, t)
        along = torch.autograd.forward_ad.unpack_dual(potential(graph.with_vectors(dual)).energy).tangent
    ahead, behind = (potential(graph.with_vectors(vectors + h * t)).energy for h in (1e-5, -1e-5))
    torch.testing.assert_close(along, (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-6)
    torch.set_num_threads(2)
    use_threads(10_000)
    try:
        assert largest(potential(graph).energy, potential(graph).energy) == 0
    finally:
        torch.set_num_threads(1)
