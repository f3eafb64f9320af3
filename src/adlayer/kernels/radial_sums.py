"""Sums over neighbors of many functions of the distance, fused; the meaning is ``nn.density_distributions``.

The functions are tabulated as those of ``kernels.soap``: polynomials of degree 7, exact to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import njit, prange
from torch import Tensor

from ..nn.density_distributions import RadialSums
from .custom import FORWARD, JVP, VJP, fused
from .one_particle import fast
from .soap import polynomials

_DEGREE = 7


@lru_cache(maxsize=64)
def tables(spec: str, dtype: type) -> tuple[np.ndarray, float]:
    """``[interval, power, k]`` and intervals per Å."""
    S = RadialSums.of(spec)
    n = int(np.ceil(24 * S.cutoff / S.sigma))
    return polynomials(S.functions, S.cutoff, n).astype(dtype), n / S.cutoff


def shape(vectors: Tensor, index: Sequence[Tensor], spec: str) -> tuple[int, int]:
    """Of the sums."""
    S = RadialSums.of(spec)
    return index[2].shape[0] - 1, S.n_elements * S.n_functions


def run(mode: int, vectors: Tensor, x: Tensor | None, index: Sequence[Tensor], spec: str) -> Tensor:
    """One of the three passes; ``x`` is the cotangent or the tangent."""
    _, j, first, species = (t.numpy() for t in index)
    v = vectors.detach().contiguous().numpy()
    x = np.zeros((0, 0), v.dtype) if x is None else x.detach().contiguous().numpy()
    y = np.zeros(v.shape if mode == VJP else shape(vectors, index, spec), v.dtype)
    table, scale = tables(spec, v.dtype.type)
    _run(mode, v, j, first, species, table, scale, RadialSums.of(spec).cutoff, x, y)
    return torch.from_numpy(y)


@njit(parallel=True, **fast)
def _run(mode, vectors, j, first, species, table, scale, cutoff, x, y):
    K = table.shape[2]
    for a in prange(len(first) - 1):
        value, slope = np.empty(K, vectors.dtype), np.empty(K, vectors.dtype)
        for e in range(first[a], first[a + 1]):
            r = np.sqrt(vectors[e, 0] ** 2 + vectors[e, 1] ** 2 + vectors[e, 2] ** 2)
            if r >= cutoff:
                continue
            m = min(int(r * scale), len(table) - 1)
            t, begin = 2 * (r * scale - m) - 1, species[j[e]] * K
            for k in range(K):
                value[k], slope[k] = table[m, _DEGREE, k], 0
            for p in range(_DEGREE - 1, -1, -1):
                for k in range(K):
                    slope[k] = slope[k] * t + value[k]
                    value[k] = value[k] * t + table[m, p, k]
            if mode == FORWARD:
                for k in range(K):
                    y[a, begin + k] += value[k]
            elif mode == VJP:
                total = 0.0
                for k in range(K):
                    total += x[a, begin + k] * slope[k]
                for d in range(3):
                    y[e, d] = 2 * scale * total / r * vectors[e, d]
            else:
                along = 2 * scale / r * (vectors[e, 0] * x[e, 0] + vectors[e, 1] * x[e, 1] + vectors[e, 2] * x[e, 2])
                for k in range(K):
                    y[a, begin + k] += slope[k] * along


def definition(
    vectors: Float[Tensor, "edges 3"], index: Sequence[Int[Tensor, "_"]], spec: str
) -> Float[Tensor, "atoms ek"]:
    """The sums, as ``nn.density_distributions`` says them."""
    i, j, _, species = index
    return RadialSums.of(spec)(vectors, i, j, species)


radial_sums = fused("radial_sums", run, definition, shape)


def slopes(vectors: Float[Tensor, "edges 3"], spec: str) -> Float[Tensor, "edges k"]:
    """Derivatives of the functions by the distances."""
    one = RadialSums.of(spec)
    n, spec = len(vectors), RadialSums(1, one.cutoff, one.sigma, one.n_max, one.l_max, one.squares).spec
    each, none = torch.arange(n + 1), torch.zeros(n, dtype=torch.long)
    directions = vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return run(JVP, vectors, directions, [each[:-1], none, each, none], spec)
