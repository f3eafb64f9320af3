"""Atomic environment vectors fused: forward, VJP and JVP in one pass over sorted neighbors, no list of triplets.

The meaning is ``descriptors.aev.definition``. As for symmetry functions each atom works alone on its own neighbors,
sorted by element, and pairs of neighbors are worked on in blocks whose loops become vector instructions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from math import log, sqrt
from typing import NamedTuple

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from .acsf import _add, _damping, _dot, _exp
from .acsf_plan import SHAPES
from .custom import FORWARD, JVP, VJP

_CHUNK = 16  # atoms that share one scratch
_BLOCK = 256  # pairs of neighbors that are worked on together


class Plan(NamedTuple):
    """The constants as the kernel reads them."""

    n_elements: int
    kind: int  # of the cutoff function
    radial: np.ndarray  # [2]: cutoff, eta
    angular: np.ndarray  # [3]: cutoff, eta, zeta
    radial_shifts: np.ndarray
    angular_shifts: np.ndarray
    sections: np.ndarray  # [2, P]: cosines and sines


@lru_cache(maxsize=64)
def plan_of(spec: str, single: bool) -> tuple[Plan, int]:
    """The constants, and the number of features."""
    s = json.loads(spec)
    real = np.float32 if single else np.float64
    angles = np.array(s["sections"])
    plan = Plan(
        s["n_elements"],
        SHAPES.index(s["cutoff_function"]),
        np.array([s["cutoff"], s["radial_eta"]], real),
        np.array([s["angular_cutoff"], s["angular_eta"], s["zeta"]], real),
        np.array(s["radial_shifts"], real),
        np.array(s["angular_shifts"], real),
        np.array([np.cos(angles), np.sin(angles)], real),
    )
    n, n_angular = s["n_elements"], len(angles) * len(plan.angular_shifts)
    return plan, n * len(plan.radial_shifts) + n * (n + 1) // 2 * n_angular


def shape(vectors: Tensor, index: Sequence[Tensor], spec: str) -> tuple[int, int]:
    """Of the features."""
    return index[2].shape[0] - 1, plan_of(spec, False)[1]


def run(mode: int, vectors: Tensor, x: Tensor | None, index: Sequence[Tensor], spec: str) -> Tensor:
    """One of the three passes; ``x`` is the cotangent or the tangent."""
    _, j, first, species = index
    plan, width = plan_of(spec, vectors.dtype == torch.float32)
    x = vectors.new_empty(0, 0) if x is None else x.contiguous()
    y = torch.zeros_like(vectors) if mode == VJP else vectors.new_zeros(len(first) - 1, width)
    if len(j):
        v, x_, y_, j, first, species = (t.detach().numpy() for t in (vectors.contiguous(), x, y, j, first, species))
        _run(mode, v, j, first, species, plan, x_, y_)
    return y


@njit(cache=True, fastmath={"contract", "nsz", "arcp"})
def _log(n, x, out):
    """``ln(x)`` of ``n`` positive numbers, written so that it becomes vector instructions."""
    if out.itemsize != 8:
        for k in range(n):
            out[k] = log(x[k])
        return
    # x = 2^q m with 1/sqrt(2) <= m < sqrt(2); ln m = 2 artanh t, t = (m - 1) / (m + 1). The bits of a float are its
    # exponent and mantissa; those of 2^52 + 2^51 + integer hold the integer.
    bits, whole = out.view(np.int64), x.view(np.int64)
    for k in range(n):
        shifted = whole[k] - 4604544271217802189  # bits of 1/sqrt(2)
        bits[k] = (shifted >> 52) + 4843621399236968448
        whole[k] -= (shifted >> 52) << 52
    for k in range(n):
        t = (x[k] - 1.0) / (x[k] + 1.0)
        u = t * t
        s = 1.0 / 23.0
        s = s * u + 1.0 / 21.0
        s = s * u + 1.0 / 19.0
        s = s * u + 1.0 / 17.0
        s = s * u + 1.0 / 15.0
        s = s * u + 1.0 / 13.0
        s = s * u + 1.0 / 11.0
        s = s * u + 1.0 / 9.0
        s = s * u + 1.0 / 7.0
        s = s * u + 1.0 / 5.0
        s = s * u + 1.0 / 3.0
        q = out[k] - 6755399441055744.0
        out[k] = 2.0 * (t + t * u * s) + q * 0.6931471805599453


@njit(cache=True, fastmath=True)
def _gaussians(eta, shifts, n, r, f, df, x):
    """``exp(-eta (r - s)²)`` and its slope for each shift."""
    for q in range(len(shifts)):
        for k in range(n):
            x[k] = -eta * (r[k] - shifts[q]) * (r[k] - shifts[q])
        _exp(n, x, f[q])
        for k in range(n):
            df[q, k] = -2.0 * eta * (r[k] - shifts[q]) * f[q, k]


@njit(cache=True, fastmath=True)
def _sectors(zeta, sections, n, cosine, f, df, c, s, base, x):
    """``2 ((1 + cos(θ - θ_s)) / 2)^zeta``, ``cos θ = 0.95 cosine``, and its slope by ``cosine``, for each section."""
    for k in range(n):
        c[k] = 0.95 * cosine[k]
        s[k] = sqrt(1.0 - c[k] * c[k])
    whole = zeta == float(int(zeta))
    for p in range(sections.shape[1]):
        cos_p, sin_p = sections[0, p], sections[1, p]
        for k in range(n):
            base[k] = max(0.5 + 0.5 * (c[k] * cos_p + s[k] * sin_p), 1e-30)
        if whole:  # df becomes base^(zeta - 1)
            power = int(zeta) - 1
            for k in range(n):
                f[p, k] = base[k]
                df[p, k] = 1.0
            while power > 0:
                if power & 1:
                    for k in range(n):
                        df[p, k] *= base[k]
                power >>= 1
                if power:
                    for k in range(n):
                        base[k] *= base[k]
        else:
            for k in range(n):
                f[p, k] = base[k]
            _log(n, base, x)
            for k in range(n):
                x[k] *= zeta - 1.0
            _exp(n, x, df[p])
        for k in range(n):
            f[p, k] *= 2.0 * df[p, k]
            df[p, k] *= 0.95 * zeta * (cos_p - c[k] / s[k] * sin_p)


@njit(cache=True, parallel=True, fastmath=True)
def _run(mode, vectors, j, first, species, plan, x, y):
    n_atoms = len(first) - 1
    most = 0
    for a in range(n_atoms):
        most = max(most, first[a + 1] - first[a])
    G, P = len(plan.angular_shifts), plan.sections.shape[1]
    for chunk in prange((n_atoms + _CHUNK - 1) // _CHUNK):
        edge, block = np.empty(most, np.int64), np.empty(plan.n_elements + 1, np.int64)
        near = np.empty((11 + 2 * len(plan.radial_shifts), most), vectors.dtype)
        ends = np.empty((2, _BLOCK), np.int64)
        pairs = np.empty((18 + 2 * G + 2 * P, _BLOCK), vectors.dtype)
        for a in range(chunk * _CHUNK, min(n_atoms, (chunk + 1) * _CHUNK)):
            _atom(mode, a, vectors, j, first, species, plan, x, y, edge, block, near, ends, pairs)


@njit(cache=True)
def _gather(cutoff, a, vectors, j, first, species, n_elements, edge, block, near):
    """The neighbors of an atom within a cutoff, element by element: places, distances, and how many they are."""
    n, rc2 = 0, cutoff * cutoff
    for s in range(n_elements):
        block[s] = n
        for e in range(first[a], first[a + 1]):
            if species[j[e]] == s:
                ex, ey, ez = vectors[e, 0], vectors[e, 1], vectors[e, 2]
                r2 = ex * ex + ey * ey + ez * ez
                if r2 < rc2:
                    edge[n] = e
                    near[0, n], near[1, n], near[2, n], near[3, n] = ex, ey, ez, sqrt(r2)
                    n += 1
    block[n_elements] = n
    return n


@njit(cache=True, fastmath=True)
def _atom(mode, a, vectors, j, first, species, plan, x, y, edge, block, near, ends, pairs):
    n = _gather(plan.radial[0], a, vectors, j, first, species, plan.n_elements, edge, block, near)
    px, py, pz, r = near[0], near[1], near[2], near[3]
    # Tangents (JVP) or gradients (VJP): tr along the distance, tx, ty, tz along the vector. Often few edges have a
    # tangent (one force component is differentiated by parameters): pairs of edges without are left out.
    tx, ty, tz, tr = near[4], near[5], near[6], near[7]
    moves = np.ones(n, np.bool_)
    for k in range(n):
        tx[k], ty[k], tz[k], tr[k] = 0.0, 0.0, 0.0, 0.0
        if mode == JVP:
            e = edge[k]
            tx[k], ty[k], tz[k] = x[e, 0], x[e, 1], x[e, 2]
            tr[k] = (tx[k] * px[k] + ty[k] * py[k] + tz[k] * pz[k]) / r[k]
            moves[k] = tx[k] != 0.0 or ty[k] != 0.0 or tz[k] != 0.0
    if n == 0 or not moves.any():
        return

    cut, dcut, u = near[8], near[9], near[10]
    R = len(plan.radial_shifts)
    f, df = near[11 : 11 + R], near[11 + R :]
    _damping(plan.kind, 0.0, plan.radial[0], n, r, cut, dcut, u)
    _gaussians(plan.radial[1], plan.radial_shifts, n, r, f, df, u)
    for q in range(R):
        for k in range(n):
            df[q, k] = 0.25 * (df[q, k] * cut[k] + f[q, k] * dcut[k])
        for s in range(plan.n_elements):
            lo, hi, column = block[s], block[s + 1], s * R + q
            if mode == FORWARD:
                y[a, column] = 0.25 * _dot(hi - lo, f[q, lo:hi], cut[lo:hi])
            elif mode == VJP:
                _add(hi - lo, x[a, column], df[q, lo:hi], tr[lo:hi])
            else:
                y[a, column] = _dot(hi - lo, df[q, lo:hi], tr[lo:hi])

    _damping(plan.kind, 0.0, plan.angular[0], n, r, cut, dcut, u)
    column = plan.n_elements * R
    for b1 in range(plan.n_elements):
        for b2 in range(b1, plan.n_elements):
            M = 0
            for k1 in range(block[b1], block[b1 + 1]):
                if r[k1] >= plan.angular[0]:
                    continue
                for k2 in range(k1 + 1 if b1 == b2 else block[b2], block[b2 + 1]):
                    if r[k2] < plan.angular[0] and (moves[k1] or moves[k2]):
                        ends[0, M], ends[1, M] = k1, k2
                        M += 1
                        if M == _BLOCK:
                            _pairs(mode, a, column, M, plan, x, y, ends, near, pairs)
                            M = 0
            if M > 0:
                _pairs(mode, a, column, M, plan, x, y, ends, near, pairs)
            column += len(plan.angular_shifts) * plan.sections.shape[1]

    if mode == VJP:
        for k in range(n):
            e = edge[k]
            g = tr[k] / r[k]
            y[e, 0], y[e, 1], y[e, 2] = tx[k] + g * px[k], ty[k] + g * py[k], tz[k] + g * pz[k]


@njit(cache=True, fastmath=True)
def _pairs(mode, a, column, M, plan, x, y, ends, near, pairs):
    """What ``M`` pairs of neighbors add to the angular features that begin at ``column``."""
    px, py, pz, r, tx, ty, tz, tr, f, df = (
        near[0],
        near[1],
        near[2],
        near[3],
        near[4],
        near[5],
        near[6],
        near[7],
        near[8],
        near[9],
    )
    G, P = len(plan.angular_shifts), plan.sections.shape[1]
    k1, k2 = ends[0], ends[1]
    r1, r2, cosine, mean, cut, cut1, cut2 = pairs[0], pairs[1], pairs[2], pairs[3], pairs[4], pairs[5], pairs[6]
    t_cos, t_1, t_2, W, dW, S, D = pairs[7], pairs[8], pairs[9], pairs[10], pairs[11], pairs[12], pairs[13]
    E, dE, A, dA = (
        pairs[18 : 18 + G],
        pairs[18 + G : 18 + 2 * G],
        pairs[18 + 2 * G : 18 + 2 * G + P],
        pairs[18 + 2 * G + P :],
    )
    for m in range(M):
        i, k = k1[m], k2[m]
        r1[m], r2[m] = r[i], r[k]
        cut1[m], cut2[m] = df[i] * f[k], f[i] * df[k]  # slopes of the product of the cutoff functions
        cut[m] = f[i] * f[k]
        cosine[m] = px[i] * px[k] + py[i] * py[k] + pz[i] * pz[k]
    for m in range(M):
        cosine[m] /= r1[m] * r2[m]
        mean[m] = 0.5 * (r1[m] + r2[m])
    _gaussians(plan.angular[1], plan.angular_shifts, M, mean, E, dE, pairs[14])
    _sectors(plan.angular[2], plan.sections, M, cosine, A, dA, pairs[14], pairs[15], pairs[16], pairs[17])

    if mode == FORWARD:
        for g in range(G):
            for m in range(M):
                E[g, m] *= cut[m]
            for p in range(P):
                y[a, column + g * P + p] += _dot(M, E[g], A[p])
    elif mode == VJP:
        for m in range(M):
            t_cos[m], S[m], D[m] = 0.0, 0.0, 0.0
        for g in range(G):
            for m in range(M):
                W[m], dW[m] = 0.0, 0.0
            for p in range(P):
                weight = x[a, column + g * P + p]
                _add(M, weight, A[p], W)
                _add(M, weight, dA[p], dW)
            for m in range(M):
                t_cos[m] += E[g, m] * dW[m]
                S[m] += dE[g, m] * W[m]
                D[m] += E[g, m] * W[m]
        # d cos / d r_1 = r_2 / (|r_1| |r_2|) - cos r_1 / |r_1|²
        for m in range(M):
            t_cos[m] *= cut[m]
            t_1[m] = 0.5 * cut[m] * S[m] + cut1[m] * D[m] - t_cos[m] * cosine[m] / r1[m]
            t_2[m] = 0.5 * cut[m] * S[m] + cut2[m] * D[m] - t_cos[m] * cosine[m] / r2[m]
            t_cos[m] /= r1[m] * r2[m]
        for m in range(M):
            i, k, t = k1[m], k2[m], t_cos[m]
            tr[i] += t_1[m]
            tr[k] += t_2[m]
            tx[i] += t * px[k]
            ty[i] += t * py[k]
            tz[i] += t * pz[k]
            tx[k] += t * px[i]
            ty[k] += t * py[i]
            tz[k] += t * pz[i]
    else:
        for m in range(M):
            i, k = k1[m], k2[m]
            dot = px[i] * tx[k] + py[i] * ty[k] + pz[i] * tz[k] + px[k] * tx[i] + py[k] * ty[i] + pz[k] * tz[i]
            t_cos[m] = cut[m] * (dot / (r1[m] * r2[m]) - cosine[m] * (tr[i] / r1[m] + tr[k] / r2[m]))
            S[m] = 0.5 * cut[m] * (tr[i] + tr[k])
            D[m] = cut1[m] * tr[i] + cut2[m] * tr[k]
        for g in range(G):
            for m in range(M):
                W[m] = dE[g, m] * S[m] + E[g, m] * D[m]
                dW[m] = E[g, m] * t_cos[m]
            for p in range(P):
                y[a, column + g * P + p] += _dot(M, W, A[p]) + _dot(M, dW, dA[p])
