"""Potentials whose energy of an atom depends on the bonds that leave it: energies and their derivatives in one pass.

A kernel gives ``E_i`` and ``G_e = dE_i/d(r_j - r_i)`` for the edges ``e`` that leave ``i``; the gradient of a weighted
sum of the energies is then ``w_i G_e``. Second derivatives, derivatives by parameters, other devices, other types and
compilers go through the plain definition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, float64
from torch.utils._python_dispatch import _get_current_dispatch_mode

from ..graph import Graph
from . import use_fused


def bond_energies(
    plain: Callable,
    kernel: Callable,
    graph: Graph,
    z: Int[Tensor, "atoms"],
    parameters: list[Tensor | float],
    dtypes: Sequence[torch.dtype] = (float64,),
) -> Float[Tensor, "atoms"]:
    """``plain(graph, z, *parameters)``; where possible by ``kernel(first, j, vectors, z, *parameters)`` on arrays.

    Args:
        plain: the definition.
        kernel: the same with its derivatives.
        graph: who sees whom.
        z: elements of the atoms.
        parameters: of both.
        dtypes: those that the kernel can compute in.
    """
    vectors = graph.vectors
    if vectors.dtype not in dtypes or _is_traced() or not use_fused(vectors):
        return plain(graph, z, *parameters)
    energies = _ByVectors.apply(vectors, plain, kernel, graph, z, parameters)
    if any(isinstance(p, Tensor) and p.requires_grad for p in parameters):
        energies = energies + _ByParameters.apply(plain, graph, z, *parameters)
    return energies


def _is_traced() -> bool:
    compiling, transforming = torch.compiler.is_compiling(), torch._C._are_functorch_transforms_active()
    return compiling or transforming or _get_current_dispatch_mode() is not None


class _ByVectors(torch.autograd.Function):
    """The energies, as a function of the vectors."""

    @staticmethod
    def forward(ctx, vectors, plain, kernel, graph, z, parameters):
        arrays = [p.detach().numpy() if isinstance(p, Tensor) else p for p in parameters]
        r = np.ascontiguousarray(vectors.detach().numpy())
        E, G = kernel(graph.first.numpy(), graph.j.numpy(), r, z.numpy(), *arrays)
        ctx.plain, ctx.graph, ctx.z, ctx.parameters, ctx.G = plain, graph, z, parameters, torch.from_numpy(G)
        return torch.from_numpy(E)

    @staticmethod
    def backward(ctx, w):
        graph = ctx.graph
        if not torch.is_grad_enabled():
            return w.index_select(0, graph.i)[:, None] * ctx.G, None, None, None, None, None
        E = ctx.plain(graph.with_vectors(graph.vectors), ctx.z, *ctx.parameters)
        (G,) = torch.autograd.grad(E, [graph.vectors], w, create_graph=True)
        return G, None, None, None, None, None

    @staticmethod
    def jvp(ctx, t, *_):
        along = torch.linalg.vecdot(ctx.G, t)
        return along.new_zeros(ctx.graph.n_atoms).index_add(0, ctx.graph.i, along)


class _ByParameters(torch.autograd.Function):
    """Zero, with the energies' derivatives by the parameters: computed only if they are asked for."""

    @staticmethod
    def forward(ctx, plain, graph, z, *parameters):
        ctx.plain, ctx.graph, ctx.z, ctx.parameters = plain, graph, z, parameters
        return graph.vectors.new_zeros(graph.n_atoms)

    @staticmethod
    def backward(ctx, w):
        wanted = [p for p in ctx.parameters if isinstance(p, Tensor) and p.requires_grad]
        create_graph = torch.is_grad_enabled()
        with torch.enable_grad():
            E = ctx.plain(ctx.graph.with_vectors(ctx.graph.vectors), ctx.z, *ctx.parameters)
            found = iter(torch.autograd.grad(E, wanted, w, create_graph=create_graph, allow_unused=True))
        return None, None, None, *(next(found) if any(p is q for q in wanted) else None for p in ctx.parameters)
