"""Energies of sparse Gaussian processes with their derivatives in one pass, in blocks that stay in the cache.

The meaning is in ``potentials/gap.py``, ``environment_gp.py`` and ``flare.py``; second derivatives, other devices and
compilers go through it.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numba import njit, prange
from torch import Tensor

from ..nn.covariances import power
from . import use_fused
from .acsf import _exp
from .bonds import _is_traced

_BLOCK = 256  # atoms


def dot_product_energies(
    p: Float[Tensor, "N D"], points: Float[Tensor, "M D"], weights: Float[Tensor, "M"], zeta: float
) -> Float[Tensor, "N"]:
    """``sum_s weights_s (p · points_s)^zeta`` of every row."""
    if _is_traced() or not use_fused(p) or not len(points):
        return power(p @ points.T, zeta) @ weights
    energies = _ByInputs.apply(p, (points, weights), zeta)
    return energies + _ByWeights.apply(weights, p, points, zeta) if weights.requires_grad else energies


class _ByInputs(torch.autograd.Function):
    """The energies, as a function of the inputs."""

    @staticmethod
    def forward(ctx, p, hidden, zeta):
        points, weights = (x.detach() for x in hidden)
        energies, slopes = p.new_empty(len(p)), torch.empty_like(p) if ctx.needs_input_grad[0] else None
        for begin in range(0, len(p), _BLOCK):
            of = slice(begin, begin + _BLOCK)
            k = p[of] @ points.T
            slope = power(k, zeta - 1) * weights
            energies[of] = torch.linalg.vecdot(k, slope)
            if slopes is not None:
                torch.mm(slope, points, out=slopes[of])
        ctx.rest, ctx.slopes = (p, *hidden, zeta), slopes
        return energies

    @staticmethod
    def backward(ctx, w):
        p, points, weights, zeta = ctx.rest
        if not torch.is_grad_enabled():
            return ctx.slopes * (zeta * w)[:, None], None, None
        slope = zeta * power(p @ points.T, zeta - 1) * weights
        return w[:, None] * (slope @ points), None, None


class _ByWeights(torch.autograd.Function):
    """Zero, with the energies' derivatives by the weights: computed only if they are asked for."""

    @staticmethod
    def forward(ctx, weights, p, points, zeta):
        ctx.rest = p, points, zeta
        return p.new_zeros(len(p))

    @staticmethod
    def backward(ctx, w):
        p, points, zeta = ctx.rest
        return w @ power(p @ points.T, zeta), None, None, None


@njit(cache=True, fastmath=True)
def _switch(r, cutoff, width):
    """The cutoff function and its slope."""
    if r >= cutoff:
        return 0.0, 0.0
    x = (r - cutoff) / width + 1 if width > 0 else 0.0
    if x <= 0:
        return 1.0, 0.0
    return 0.5 * (np.cos(np.pi * x) + 1), -0.5 * np.pi / width * np.sin(np.pi * x)


@njit(cache=True, fastmath=True)
def _quadratic(r, cutoff):
    """The quadratic cutoff function and its slope."""
    left = max(cutoff - r, 0.0)
    return left * left, -2 * left


@njit(cache=True, parallel=True, error_model="numpy")
def pair_kernel(first, j, vectors, z, points, weights, group, pair, theta, cutoff, width, quadratic):
    """``E_i`` and ``dE_i/dvectors_e`` of the edges that leave ``i``."""
    E, G = np.zeros(len(first) - 1), np.zeros(vectors.shape)
    start = np.searchsorted(group, np.arange(len(theta) + 1))
    for i in prange(len(first) - 1):
        x, k = np.empty(len(points)), np.empty(len(points))
        for e in range(first[i], first[i + 1]):
            r = np.sqrt(vectors[e, 0] ** 2 + vectors[e, 1] ** 2 + vectors[e, 2] ** 2)
            f, df = _quadratic(r, cutoff) if quadratic else _switch(r, cutoff, width)
            if f == 0:
                continue
            g = pair[z[i], z[j[e]]]
            begin, n = start[g], start[g + 1] - start[g]
            for s in range(n):
                d = (r - points[begin + s, 0]) / theta[g, 0]
                x[s] = -0.5 * d * d
            _exp(n, x, k)
            total, slope = 0.0, 0.0
            for s in range(n):
                term = weights[begin + s] * k[s]
                total += term
                slope -= term * (r - points[begin + s, 0])
            E[i] += f * total
            dr = df * total + f * slope / theta[g, 0] ** 2
            for d in range(3):
                G[e, d] = dr * vectors[e, d] / r
    return E, G


@njit(cache=True, parallel=True, error_model="numpy")
def triplet_kernel(first, j, vectors, z, points, weights, group, triple, theta, cutoff, width):
    """``E_i`` and ``dE_i/dvectors_e`` of the edges that leave ``i``."""
    E, G = np.zeros(len(first) - 1), np.zeros(vectors.shape)
    start = np.searchsorted(group, np.arange(len(theta) + 1))
    for i in prange(len(first) - 1):
        x, k = np.empty(len(points)), np.empty(len(points))
        n_edges = first[i + 1] - first[i]
        r, f, df = np.empty(n_edges), np.empty(n_edges), np.empty(n_edges)
        for e in range(n_edges):
            v = vectors[first[i] + e]
            r[e] = np.sqrt(v[0] ** 2 + v[1] ** 2 + v[2] ** 2)
            f[e], df[e] = _switch(r[e], cutoff, width)
        for e in range(n_edges):
            if f[e] == 0:
                continue
            for h in range(e + 1, n_edges):
                if f[h] == 0:
                    continue
                u, v = vectors[first[i] + e], vectors[first[i] + h]
                g = triple[z[i], z[j[first[i] + e]], z[j[first[i] + h]]]
                begin, n = start[g], start[g + 1] - start[g]
                side = np.sqrt((v[0] - u[0]) ** 2 + (v[1] - u[1]) ** 2 + (v[2] - u[2]) ** 2)
                plus, minus = r[e] + r[h], r[e] - r[h]
                a, b, c = theta[g, 0] ** -2, theta[g, 1] ** -2, theta[g, 2] ** -2
                for s in range(n):
                    p, m, q = plus - points[begin + s, 0], minus**2 - points[begin + s, 1], side - points[begin + s, 2]
                    x[s] = -0.5 * (a * p * p + b * m * m + c * q * q)
                _exp(n, x, k)
                total, by_plus, by_minus, by_side = 0.0, 0.0, 0.0, 0.0
                for s in range(n):
                    term = weights[begin + s] * k[s]
                    total += term
                    by_plus -= term * (plus - points[begin + s, 0])
                    by_minus -= term * (minus**2 - points[begin + s, 1])
                    by_side -= term * (side - points[begin + s, 2])
                both = 2 * f[e] * f[h]  # each pair of neighbors counts in both orders
                E[i] += both * total
                by_plus, by_minus, by_side = both * a * by_plus, 2 * minus * both * b * by_minus, both * c * by_side
                along_e = (2 * df[e] * f[h] * total + by_plus + by_minus) / r[e]
                along_h = (2 * f[e] * df[h] * total + by_plus - by_minus) / r[h]
                for d in range(3):
                    across = by_side * (v[d] - u[d]) / side
                    G[first[i] + e, d] += along_e * u[d] - across
                    G[first[i] + h, d] += along_h * v[d] + across
    return E, G


@njit(cache=True, parallel=True, error_model="numpy")
def triangle_kernel(first, j, vectors, z, points, weights, group, triple, order, theta, cutoff):
    """``E_i`` and ``dE_i/dvectors_e`` of the edges that leave ``i``."""
    E, G = np.zeros(len(first) - 1), np.zeros(vectors.shape)
    start = np.searchsorted(group, np.arange(len(theta) + 1))
    for i in prange(len(first) - 1):
        x, k = np.empty(len(points)), np.empty(len(points))
        side, fade, slope, by = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
        for e in range(first[i], first[i + 1]):
            u = vectors[e]
            side[0] = np.sqrt(u[0] ** 2 + u[1] ** 2 + u[2] ** 2)
            fade[0], slope[0] = _quadratic(side[0], cutoff)
            if fade[0] == 0:
                continue
            for h in range(e + 1, first[i + 1]):
                v = vectors[h]
                side[1] = np.sqrt(v[0] ** 2 + v[1] ** 2 + v[2] ** 2)
                side[2] = np.sqrt((v[0] - u[0]) ** 2 + (v[1] - u[1]) ** 2 + (v[2] - u[2]) ** 2)
                fade[1], slope[1] = _quadratic(side[1], cutoff)
                fade[2], slope[2] = _quadratic(side[2], cutoff)
                if fade[1] == 0 or fade[2] == 0:
                    continue
                g = triple[z[i], z[j[e]], z[j[h]]]
                a, b, c = order[z[i], z[j[e]], z[j[h]]]
                begin, n = start[g], start[g + 1] - start[g]
                for s in range(n):
                    p, q, r = (
                        side[a] - points[begin + s, 0],
                        side[b] - points[begin + s, 1],
                        side[c] - points[begin + s, 2],
                    )
                    x[s] = -0.5 * (p * p + q * q + r * r) / theta[g, 0] ** 2
                _exp(n, x, k)
                total, by[0], by[1], by[2] = 0.0, 0.0, 0.0, 0.0
                for s in range(n):
                    term = weights[begin + s] * k[s]
                    total += term
                    by[a] -= term * (side[a] - points[begin + s, 0])
                    by[b] -= term * (side[b] - points[begin + s, 1])
                    by[c] -= term * (side[c] - points[begin + s, 2])
                share = fade[0] * fade[1] * fade[2] / 3  # one of three atoms
                E[i] += share * total
                for d in range(3):
                    by[d] = share * (by[d] / theta[g, 0] ** 2 + total * slope[d] / fade[d]) / side[d]
                for d in range(3):
                    across = by[2] * (v[d] - u[d])
                    G[e, d] += by[0] * u[d] - across
                    G[h, d] += by[1] * v[d] + across
    return E, G
