"""The atomic cluster expansion, fused: what ``nn.cluster_expansion`` defines, as operators of torch, for a CPU."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..graph import Graph
from ..nn.cluster_expansion import KNOWN, ClusterExpansion
from ..nn.radial_polynomials import RadialSets
from ..nn.radial_tables import RadialTables
from ..nn.spherical_harmonics import harmonic_norms
from . import use_fused
from .ace_products import Nodes, run_forward, run_reverse
from .one_particle import Tables


def tables(expansion: ClusterExpansion) -> tuple[Tables, Nodes]:
    """What the kernels need to know of an expansion, made once."""
    if expansion not in _TABLES:
        basis, radial = expansion.basis, expansion.radial
        of_l = [np.flatnonzero((basis.low <= l * l) & (l * l < basis.high)) for l in range(expansion.l_max + 1)]
        one = Tables(
            *(_sets(radial) if isinstance(radial, RadialSets) else _knots(radial)),
            low=basis.low,
            high=basis.high,
            start=basis.start,
            block=expansion.block,
            shift=expansion.shift,
            of_l=np.concatenate(of_l),
            of_l_start=np.cumsum([0, *map(len, of_l)]),
            norms=harmonic_norms(expansion.l_max),
            cutoff=np.array([radial.cutoff]),
        )
        left, right, levels, _ = expansion.nodes
        _TABLES[expansion] = one, Nodes(left, right, np.array([levels[-2]]))
    return _TABLES[expansion]


_TABLES: WeakKeyDictionary[ClusterExpansion, tuple[Tables, Nodes]] = WeakKeyDictionary()


def _sets(radial: RadialSets) -> tuple[np.ndarray, ...]:
    """The first fields of ``Tables`` where radial functions are polynomials."""
    r0, ends = torch.from_numpy(radial.r0), np.cumsum([f.n for f in radial.sets])
    return (
        torch.stack([torch.stack([r0, *f.line(r0)], -1) for f in radial.sets], -2).numpy(),
        np.array([(end - f.n, end, *f.kinds) for end, f in zip(ends, radial.sets)]).reshape(-1, 4),
        np.array([f.first for f in radial.sets]),
        torch.cat([f.recursion for f in radial.sets]).numpy(),
        np.zeros((len(r0), len(r0)), np.int64),
        np.zeros(0),
        np.zeros(1, np.int64),
        np.zeros((0, 2, radial.n)),
    )


def _knots(radial: RadialTables) -> tuple[np.ndarray, ...]:
    """The same where they are cubics between knots."""
    E = radial.n_elements
    nothing = np.zeros((E, E, 0, 3)), np.zeros((0, 4), np.int64), np.zeros(0), np.zeros((0, 3))
    return *nothing, radial.kinds, radial.scale, radial.start, radial.knots


def densities(
    vectors: Float[Tensor, "edges 3"],
    weights: Float[Tensor, "elements densities nodes"],
    graph: Graph,
    species: Int[Tensor, "atoms"],
    expansion: ClusterExpansion,
) -> Float[Tensor, "atoms densities"]:
    """``ClusterExpansion.densities``, fused on a CPU; what is differentiated twice by the vectors is plain torch."""
    if not use_fused(vectors):
        return expansion.densities(vectors, weights, graph.i, graph.j, species)
    of = graph.first, graph.i, graph.j, species, expansion.key
    eager = vectors.requires_grad and weights.shape[1] == 1  # energy and forces in one pass
    rho, _ = _densities(vectors, weights, *of, eager)
    return rho + _densities_by_weights(weights, vectors.detach(), *of) if weights.requires_grad else rho


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [t.detach().contiguous().numpy() for t in tensors]


# Autograd asks an operator for all of its derivatives or none. Derivatives by vectors and by weights therefore belong
# to operators of their own, of which one has the value and the other is zero: forces do not pay for the weights.


@torch.library.custom_op("adlayer::ace_densities", mutates_args=())
def _densities(
    vectors: Tensor, weights: Tensor, first: Tensor, i: Tensor, j: Tensor, species: Tensor, key: int, eager: bool
) -> tuple[Tensor, Tensor]:
    """Densities, and the derivatives of their sum by the vectors if ``eager``; derivatives by the vectors."""
    v, w, f, n, s = _arrays(vectors, weights, first, j, species)
    rho, g, _ = run_reverse(v, f, n, s, w, *tables(KNOWN[key]), np.ones((len(s), w.shape[1]), v.dtype), eager)
    return torch.from_numpy(rho), torch.from_numpy(g)


@torch.library.custom_op("adlayer::ace_densities_by_weights", mutates_args=())
def _densities_by_weights(
    weights: Tensor, vectors: Tensor, first: Tensor, i: Tensor, j: Tensor, species: Tensor, key: int
) -> Tensor:
    """Zero; derivatives of the densities by the weights."""
    return vectors.new_zeros(species.shape[0], weights.shape[1])


@torch.library.custom_op("adlayer::ace_gradient", mutates_args=())
def _gradient(
    adjoint: Tensor, weights: Tensor, vectors: Tensor, first: Tensor, i: Tensor, j: Tensor, species: Tensor, key: int
) -> Tensor:
    """Derivatives of ``sum(adjoint * rho)`` by the vectors; derivatives by the adjoint and the weights."""
    a, v, w, f, n, s = _arrays(adjoint, vectors, weights, first, j, species)
    return torch.from_numpy(run_reverse(v, f, n, s, w, *tables(KNOWN[key]), a, True)[1])


@torch.library.custom_op("adlayer::ace_gradient_by_vectors", mutates_args=())
def _gradient_by_vectors(
    vectors: Tensor, adjoint: Tensor, weights: Tensor, first: Tensor, i: Tensor, j: Tensor, species: Tensor, key: int
) -> Tensor:
    """Zero; derivatives of the gradient by the vectors."""
    return torch.zeros_like(vectors)


@torch.library.custom_op("adlayer::ace_weight_gradient", mutates_args=())
def _weight_gradient(
    adjoint: Tensor, weights: Tensor, vectors: Tensor, first: Tensor, j: Tensor, species: Tensor, key: int
) -> Tensor:
    """Derivatives of ``sum(adjoint * rho)`` by the weights."""
    a, v, w, f, n, s = _arrays(adjoint, vectors, weights, first, j, species)
    return torch.from_numpy(run_reverse(v, f, n, s, w, *tables(KNOWN[key]), a, False, True)[2])


@torch.library.custom_op("adlayer::ace_along", mutates_args=())
def _along(
    direction: Tensor,
    adjoint: Tensor,
    weights: Tensor,
    vectors: Tensor,
    first: Tensor,
    j: Tensor,
    species: Tensor,
    key: int,
) -> tuple[Tensor, Tensor]:
    """Change of ``rho`` when the vectors move by ``direction``, and its derivative by the weights under the adjoint."""
    d, a, v, w, f, n, s = _arrays(direction, adjoint, vectors, weights, first, j, species)
    rho, gw = run_forward(v, f, n, s, w, *tables(KNOWN[key]), a, d)
    return torch.from_numpy(rho), torch.from_numpy(gw)


@_densities.register_fake
def _(vectors, weights, first, i, j, species, key, eager):
    return vectors.new_empty(len(species), weights.shape[1]), vectors.new_empty(len(vectors) if eager else 0, 3)


@_densities_by_weights.register_fake
def _(weights, vectors, first, i, j, species, key):
    return vectors.new_empty(len(species), weights.shape[1])


@_gradient.register_fake
def _(adjoint, weights, vectors, *rest):
    return torch.empty_like(vectors)


@_gradient_by_vectors.register_fake
def _(vectors, *rest):
    return torch.empty_like(vectors)


@_weight_gradient.register_fake
def _(adjoint, weights, *rest):
    return torch.empty_like(weights)


@_along.register_fake
def _(direction, adjoint, weights, *rest):
    return torch.empty_like(adjoint), torch.empty_like(weights)


def _keep(ctx, inputs, output):
    *tensors, ctx.key = inputs
    ctx.save_for_backward(*tensors)
    ctx.alive = KNOWN[ctx.key]  # for as long as something may be differentiated


def _keep_densities(ctx, inputs, output):
    *tensors, ctx.key, ctx.eager = inputs
    ctx.save_for_backward(*tensors, output[1])
    ctx.alive = KNOWN[ctx.key]
    ctx.mark_non_differentiable(output[1])


def _once() -> None:
    """Say that what has been asked for is not there, rather than give a wrong number."""
    if torch.is_grad_enabled():
        raise NotImplementedError(
            "ACE on a CPU is differentiated by positions up to twice and by coefficients last; for more, use "
            "ClusterExpansion.densities, which is plain torch"
        )


def _back_densities(ctx, adjoint, _):
    vectors, weights, first, i, j, species, g = ctx.saved_tensors
    if ctx.eager and not torch.is_grad_enabled():
        plain = type(adjoint) is Tensor and bool((adjoint == 1).all())  # as always for forces; not while compiling
        return g if plain else g * adjoint.index_select(0, i), *[None] * 7
    of = first, i, j, species, ctx.key
    g = _gradient(adjoint, weights, vectors, *of)
    if torch.is_grad_enabled() and vectors.requires_grad:
        g = g + _gradient_by_vectors(vectors, adjoint.detach(), weights.detach(), *of)
    return g, *[None] * 7


def _back_densities_by_weights(ctx, adjoint):
    weights, vectors, first, _, j, species = ctx.saved_tensors
    _once()
    return _weight_gradient(adjoint, weights, vectors, first, j, species, ctx.key), *[None] * 6


def _back_gradient(ctx, direction):
    adjoint, weights, vectors, first, _, j, species = ctx.saved_tensors
    _once()
    rho, gw = _along(direction, adjoint, weights, vectors, first, j, species, ctx.key)
    return rho, gw, *[None] * 6


def _back_gradient_by_vectors(ctx, direction):
    vectors, adjoint, weights, _, i, j, species = ctx.saved_tensors
    _once()
    with torch.enable_grad():
        v = vectors.detach().requires_grad_()
        g = torch.autograd.grad(KNOWN[ctx.key].densities(v, weights, i, j, species), v, adjoint, create_graph=True)[0]
        return torch.autograd.grad(g, v, direction)[0], *[None] * 7


_densities.register_autograd(_back_densities, setup_context=_keep_densities)
_densities_by_weights.register_autograd(_back_densities_by_weights, setup_context=_keep)
_gradient.register_autograd(_back_gradient, setup_context=_keep)
_gradient_by_vectors.register_autograd(_back_gradient_by_vectors, setup_context=_keep)
