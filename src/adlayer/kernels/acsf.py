"""Symmetry functions fused: forward, VJP and JVP in one pass over sorted neighbors, no list of triplets.

The meaning is ``descriptors.acsf.definition``. Each atom works alone on its own neighbors, sorted by element. Angular
functions of the same neighbors form a channel, in which radial parts (rows) are shared by functions that differ in
their angular part and angular parts by functions that differ in the radial one, like n2p2's groups. Pairs of neighbors
are worked on in blocks: all loops run over contiguous arrays of pairs, which compilers turn into vector instructions.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import acos, exp, pi, sqrt, tanh

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from .acsf_plan import ALL, COMPACT, SHAPES, plan_of, width_of
from .custom import FORWARD, JVP, VJP
from .simd import cosine_series, sine_series

_HARD, _COS, _TANHU, _TANH, _EXP, _POLY1, _POLY2, _POLY3, _POLY4 = range(len(SHAPES))
_CHUNK = 16  # atoms that share one scratch
_BLOCK = 256  # pairs of neighbors that are worked on together


def shape(vectors: Tensor, index: Sequence[Tensor], spec: str) -> tuple[int, int]:
    """Of the features."""
    return index[2].shape[0] - 1, width_of(spec)


def run(mode: int, vectors: Tensor, x: Tensor | None, index: Sequence[Tensor], spec: str) -> Tensor:
    """One of the three passes; ``x`` is the cotangent or the tangent."""
    _, j, first, species = index
    plan, n_rows, n_angles = plan_of(spec, vectors.dtype == torch.float32)
    n_atoms, width = len(first) - 1, width_of(spec)
    dummy = vectors.new_empty(0, 0)
    x = dummy if x is None else x.contiguous()
    y = torch.zeros_like(vectors) if mode == VJP else vectors.new_zeros(n_atoms, width)
    if len(j):
        v, x_, y_, j, first, species = (t.detach().numpy() for t in (vectors.contiguous(), x, y, j, first, species))
        _run(mode, v, j, first, species, plan, n_rows, n_angles, x_, y_)
    return y


@njit(cache=True, fastmath={"contract", "nsz", "arcp"})  # no reassociation: adding and subtracting 1.5 2^52 rounds
def _exp(n, x, out):
    """``exp(x)`` of ``n`` numbers below 1, written so that it becomes vector instructions."""
    if out.itemsize != 8:
        for k in range(n):
            out[k] = exp(x[k])
        return
    # exp(x) = 2^q exp(t), |t| < ln 2 / 2; adding 1.5 2^52 leaves q in the low bits, from where it goes to the exponent.
    bits = out.view(np.int64)
    for k in range(n):
        out[k] = max(x[k], -700.0) * 1.4426950408889634 + 6755399441055744.0
    for k in range(n):
        q = out[k] - 6755399441055744.0
        t = max(x[k], -700.0) - q * 0.6931471805599453 - q * 2.3190468138462996e-17
        x[k] = _exp_series(t)
    for k in range(n):
        bits[k] = (bits[k] << 52) + 4607182418800017408
    for k in range(n):
        out[k] *= x[k]


@njit(cache=True, fastmath=True)
def _exp_series(t):
    s = 1.0 / 6227020800.0
    s = s * t + 1.0 / 479001600.0
    s = s * t + 1.0 / 39916800.0
    s = s * t + 1.0 / 3628800.0
    s = s * t + 1.0 / 362880.0
    s = s * t + 1.0 / 40320.0
    s = s * t + 1.0 / 5040.0
    s = s * t + 1.0 / 720.0
    s = s * t + 1.0 / 120.0
    s = s * t + 1.0 / 24.0
    s = s * t + 1.0 / 6.0
    s = s * t + 0.5
    s = s * t + 1.0
    return s * t + 1.0


@njit(cache=True, fastmath=True)
def _shapes(kind, n, x, f, df):
    """A way from 1 at ``x = 0`` to 0 at ``x = 1``, and its slope, at ``n`` points; beyond, what it is at the end."""
    for k in range(n):
        x[k] = min(max(x[k], 0.0), 1.0)
    if kind == _COS:
        for k in range(n):
            f[k] = 0.5 - 0.5 * sine_series(pi * (x[k] - 0.5))
        for k in range(n):
            df[k] = -0.5 * pi * cosine_series(pi * (x[k] - 0.5))
    elif kind == _POLY1:
        for k in range(n):
            t = x[k]
            f[k] = (2.0 * t - 3.0) * t * t + 1.0
            df[k] = 6.0 * t * (t - 1.0)
    elif kind == _POLY2:
        for k in range(n):
            t = x[k]
            f[k] = ((15.0 - 6.0 * t) * t - 10.0) * t * t * t + 1.0
            df[k] = -30.0 * (t * (t - 1.0)) ** 2
    elif kind == _POLY3:
        for k in range(n):
            t = x[k]
            f[k] = (t * (t * (20.0 * t - 70.0) + 84.0) - 35.0) * t * t * t * t + 1.0
            df[k] = 140.0 * (t * (t - 1.0)) ** 3
    elif kind == _POLY4:
        for k in range(n):
            t = x[k]
            f[k] = (t * (t * ((315.0 - 70.0 * t) * t - 540.0) + 420.0) - 126.0) * t * t * t * t * t + 1.0
            df[k] = -630.0 * (t * (t - 1.0)) ** 4
    elif kind == _EXP:
        for k in range(n):
            f[k], df[k] = 0.0, 0.0
            if x[k] < 1.0:
                w = 1.0 / (1.0 - x[k] * x[k])
                f[k] = exp(1.0 - w)
                df[k] = -2.0 * x[k] * w * w * f[k]
    else:
        for k in range(n):
            f[k], df[k] = 1.0, 0.0


@njit(cache=True, fastmath=True)
def _damping(kind, inner, cutoff, n, r, f, df, x):
    """The cutoff function of the Gaussian functions and its slope."""
    if kind in (_TANH, _TANHU):
        c = 1.0 if kind == _TANHU else 1.0 / tanh(1.0) ** 3
        for k in range(n):
            t = tanh(max(1.0 - r[k] / cutoff, 0.0))
            f[k] = c * t * t * t
            df[k] = 3.0 * c * t * t * (t * t - 1.0) / cutoff
        return
    scale = 1.0 / (cutoff * (1.0 - inner))
    for k in range(n):
        x[k] = (r[k] - inner * cutoff) * scale
    _shapes(kind, n, x, f, df)
    for k in range(n):
        inside = 1.0 if r[k] < cutoff else 0.0
        f[k] *= inside
        df[k] *= inside * scale


@njit(cache=True, fastmath=True)
def _bumps(kind, bent, left, right, n, r, f, df, x):
    """1 in the middle between ``left`` and ``right``, 0 outside, and its slope."""
    scale = 2.0 / (right - left)
    for k in range(n):
        u = abs((r[k] - 0.5 * (left + right)) * scale)
        x[k] = (2.0 - min(u, 1.0)) * u if bent else u
    _shapes(kind, n, x, f, df)
    for k in range(n):
        u = (r[k] - 0.5 * (left + right)) * scale
        slope = scale if u > 0.0 else -scale
        if bent:
            slope *= 2.0 - 2.0 * min(abs(u), 1.0)
        inside = 1.0 if abs(u) < 1.0 else 0.0
        f[k] *= inside
        df[k] *= inside * slope


@njit(cache=True, fastmath=True)
def _radial_part(row, form, inner, fresh, n, r, f, df, c, dc, x):
    """The radial part of one row; the cutoff function is still in ``c`` and ``dc`` unless a fresh one is needed."""
    if form[0] == COMPACT:
        _bumps(form[1], form[2] == 1, row[0], row[2], n, r, f, df, x)
        return
    if fresh:
        _damping(form[1], inner, row[2], n, r, c, dc, x)
    eta, shift = row[0], row[1]
    for k in range(n):
        x[k] = -eta * (r[k] - shift) * (r[k] - shift)
    _exp(n, x, f)
    for k in range(n):
        df[k] = f[k] * (dc[k] - 2.0 * eta * (r[k] - shift) * c[k])
    for k in range(n):
        f[k] *= c[k]


@njit(cache=True)
def _is_fresh(row, form, g, begin):
    """Whether row ``g`` has another cutoff function than the one before it."""
    return g == begin or form[g - 1, 0] == COMPACT or form[g - 1, 1] != form[g, 1] or row[g - 1, 2] != row[g, 2]


@njit(cache=True, fastmath=True)
def _angular_part(angle, form, n, cosine, f, df, base, x):
    """The angular part at ``n`` cosines and its slope by the cosine."""
    if form[0] == COMPACT:
        for k in range(n):
            base[k] = acos(min(max(cosine[k], -1.0), 1.0))
        _bumps(form[1], False, angle[0], angle[1], n, base, f, df, x)
        for k in range(n):
            s2 = 1.0 - cosine[k] * cosine[k]
            df[k] = -df[k] / sqrt(s2) if s2 > 0.0 else 0.0
            f[k] = f[k] if s2 > 0.0 else 0.0
        return
    zeta, sign, norm = angle[0], angle[1], angle[2]
    if not form[1]:
        for k in range(n):
            b = max(1.0 + sign * cosine[k], 0.0)
            f[k] = norm * b**zeta
            df[k] = zeta * sign * f[k] / b if b > 0.0 else 0.0
        return
    power = int(zeta) - 1
    for k in range(n):
        base[k] = 1.0 + sign * cosine[k]
        f[k] = base[k]
        df[k] = norm
    while power > 0:
        if power & 1:
            for k in range(n):
                df[k] *= base[k]
        power >>= 1
        if power:
            for k in range(n):
                base[k] *= base[k]
    for k in range(n):
        f[k] *= df[k]
        df[k] *= zeta * sign


@njit(cache=True, parallel=True, fastmath=True)
def _run(mode, vectors, j, first, species, plan, n_rows, n_angles, x, y):
    n_atoms = len(first) - 1
    most = 0
    for a in range(n_atoms):
        most = max(most, first[a + 1] - first[a])
    for chunk in prange((n_atoms + _CHUNK - 1) // _CHUNK):
        edge, block = np.empty(most, np.int64), np.empty(len(plan.weight) + 1, np.int64)
        near = np.empty((14 + 2 * n_rows, most), vectors.dtype)
        ends = np.empty((2, _BLOCK), np.int64)
        pairs = np.empty((18 + 2 * n_rows + 2 * n_angles, _BLOCK), vectors.dtype)
        for a in range(chunk * _CHUNK, min(n_atoms, (chunk + 1) * _CHUNK)):
            _atom(mode, a, vectors, j, first, species, plan, n_rows, n_angles, x, y, edge, block, near, ends, pairs)


@njit(cache=True, fastmath=True)
def _atom(mode, a, vectors, j, first, species, plan, n_rows, n_angles, x, y, edge, block, near, ends, pairs):
    # The neighbors within the longest cutoff, element by element.
    c = species[a]
    n = 0
    rc2 = plan.cutoff[c] * plan.cutoff[c]
    px, py, pz, r, w = near[0], near[1], near[2], near[3], near[4]
    for s in range(len(plan.weight)):
        block[s] = n
        for e in range(first[a], first[a + 1]):
            if species[j[e]] == s:
                ex, ey, ez = vectors[e, 0], vectors[e, 1], vectors[e, 2]
                r2 = ex * ex + ey * ey + ez * ez
                if r2 < rc2:
                    edge[n] = e
                    px[n], py[n], pz[n] = ex, ey, ez
                    r[n] = sqrt(r2)
                    w[n] = plan.weight[s]
                    n += 1
    block[len(plan.weight)] = n
    if n == 0:
        return
    # Tangents (JVP) or gradients (VJP): tr along the distance, tx, ty, tz along the vector. Often few edges have a
    # tangent (one force component is differentiated by parameters): pairs of edges without are left out.
    tx, ty, tz, tr = near[5], near[6], near[7], near[8]
    moves = np.ones(n, np.bool_)
    for k in range(n):
        tx[k], ty[k], tz[k], tr[k] = 0.0, 0.0, 0.0, 0.0
        if mode == JVP:
            e = edge[k]
            tx[k], ty[k], tz[k] = x[e, 0], x[e, 1], x[e, 2]
            tr[k] = (tx[k] * px[k] + ty[k] * py[k] + tz[k] * pz[k]) / r[k]
            moves[k] = tx[k] != 0.0 or ty[k] != 0.0 or tz[k] != 0.0
    if not moves.any():
        return

    f, df, u, cut, dcut = near[9], near[10], near[11], near[12], near[13]
    begin, fresh = plan.radial_first[c], True
    for q in range(begin, plan.radial_first[c + 1]):
        b, column = plan.radial_block[q], plan.radial_column[q]
        lo, hi = (0, n) if b == ALL else (block[b], block[b + 1])
        m = hi - lo
        fresh = _is_fresh(plan.radial_row, plan.radial_form, q, begin) or plan.radial_block[q - 1] != b
        row, form = plan.radial_row[q], plan.radial_form[q]
        _radial_part(row, form, plan.inner[0], fresh, m, r[lo:hi], f, df, cut, dcut, u)
        if b == ALL:
            for k in range(m):
                f[k] *= w[k]
                df[k] *= w[k]
        if mode == FORWARD:
            s = 0.0 * w[0]
            for k in range(m):
                s += f[k]
            y[a, column] = s
        elif mode == VJP:
            for k in range(m):
                tr[lo + k] += x[a, column] * df[k]
        else:
            y[a, column] = _dot(m, df, tr[lo:hi])

    E, dE = near[14 : 14 + n_rows], near[14 + n_rows :]
    for q in range(plan.channel_first[c], plan.channel_first[c + 1]):
        b1, b2, narrow = plan.channel[q]
        lo1, hi1 = (0, n) if b1 == ALL else (block[b1], block[b1 + 1])
        lo2, hi2 = (0, n) if b2 == ALL else (block[b2], block[b2 + 1])
        if hi1 == lo1 or hi2 == lo2:
            continue
        begin, longest = plan.row_first[q], 0.0
        for g in range(begin, plan.row_first[q + 1]):
            longest = max(longest, plan.row[g, 2])
            fresh = _is_fresh(plan.row, plan.row_form, g, begin)
            row, form = plan.row[g], plan.row_form[g]
            _radial_part(row, form, plan.inner[0], fresh, n, r, E[g - begin], dE[g - begin], cut, dcut, u)
            if b1 == ALL:
                for k in range(n):
                    E[g - begin, k] *= w[k]
                    dE[g - begin, k] *= w[k]
        # Pairs of neighbors, block by block.
        M = 0
        cosine, d = pairs[0], pairs[1]
        for k1 in range(lo1, hi1):
            if r[k1] >= longest:
                continue
            x1, y1, z1 = px[k1], py[k1], pz[k1]
            for k2 in range(k1 + 1 if b1 == b2 else lo2, hi2):
                if not (moves[k1] or moves[k2]):
                    continue
                dx, dy, dz = px[k2] - x1, py[k2] - y1, pz[k2] - z1
                d2 = dx * dx + dy * dy + dz * dz
                if r[k2] < longest and (narrow == 0 or d2 < longest * longest):
                    ends[0, M], ends[1, M] = k1, k2
                    d[M] = d2
                    cosine[M] = px[k2] * x1 + py[k2] * y1 + pz[k2] * z1
                    M += 1
                    if M == _BLOCK:
                        _pairs(mode, a, q, M, plan, n_rows, n_angles, x, y, ends, near, pairs)
                        M = 0
        if M > 0:
            _pairs(mode, a, q, M, plan, n_rows, n_angles, x, y, ends, near, pairs)

    if mode == VJP:
        for k in range(n):
            e = edge[k]
            g = tr[k] / r[k]
            y[e, 0] = tx[k] + g * px[k]
            y[e, 1] = ty[k] + g * py[k]
            y[e, 2] = tz[k] + g * pz[k]


@njit(cache=True, fastmath=True)
def _pairs(mode, a, q, M, plan, n_rows, n_angles, x, y, ends, near, pairs):
    """Angular functions of channel ``q``: what ``M`` pairs of neighbors add."""
    px, py, pz, r = near[0], near[1], near[2], near[3]
    tx, ty, tz, tr = near[5], near[6], near[7], near[8]
    E, dE = near[14 : 14 + n_rows], near[14 + n_rows :]
    row0, angle0, table0 = plan.row_first[q], plan.angle_first[q], plan.table_first[q]
    G, P = plan.row_first[q + 1] - row0, plan.angle_first[q + 1] - angle0
    narrow = plan.channel[q, 2]
    k1, k2 = ends[0], ends[1]
    cosine, d, E1, E2, dE1, dE2 = pairs[0], pairs[1], pairs[2], pairs[3], pairs[4], pairs[5]
    W, dW, u, cut, dcut = pairs[6], pairs[7], pairs[8], pairs[9], pairs[10]
    t_cos, t_d, t_1, t_2 = pairs[11], pairs[12], pairs[13], pairs[14]  # tangents or gradients
    r1, r2, spare = pairs[15], pairs[16], pairs[17]
    N, dN = pairs[18 : 18 + n_rows], pairs[18 + n_rows : 18 + 2 * n_rows]  # radial parts of the neighbors' distance
    A, dA = pairs[18 + 2 * n_rows : 18 + 2 * n_rows + n_angles], pairs[18 + 2 * n_rows + n_angles :]
    for m in range(M):
        r1[m], r2[m] = r[k1[m]], r[k2[m]]
    for m in range(M):
        cosine[m] /= r1[m] * r2[m]
        d[m] = sqrt(d[m])
    if narrow:
        for g in range(G):
            row, form = plan.row[row0 + g], plan.row_form[row0 + g]
            fresh = _is_fresh(plan.row, plan.row_form, row0 + g, row0)
            _radial_part(row, form, plan.inner[0], fresh, M, d, N[g], dN[g], cut, dcut, u)
    for p in range(P):
        _angular_part(plan.angle[angle0 + p], plan.angle_form[angle0 + p], M, cosine, A[p], dA[p], spare, u)

    for m in range(M):
        t_cos[m], t_d[m], t_1[m], t_2[m] = 0.0, 0.0, 0.0, 0.0
    if mode == JVP:
        for m in range(M):
            i, k = k1[m], k2[m]
            t_1[m], t_2[m] = tr[i], tr[k]
            dot = px[i] * tx[k] + py[i] * ty[k] + pz[i] * tz[k] + px[k] * tx[i] + py[k] * ty[i] + pz[k] * tz[i]
            t_cos[m] = dot / (r1[m] * r2[m]) - cosine[m] * (tr[i] / r1[m] + tr[k] / r2[m])
            if narrow:
                sx, sy, sz = tx[k] - tx[i], ty[k] - ty[i], tz[k] - tz[i]
                t_d[m] = ((px[k] - px[i]) * sx + (py[k] - py[i]) * sy + (pz[k] - pz[i]) * sz) / d[m]

    for g in range(G):
        for m in range(M):
            E1[m], E2[m] = E[g, k1[m]], E[g, k2[m]]
        if mode != FORWARD:
            for m in range(M):
                dE1[m], dE2[m] = dE[g, k1[m]] * E2[m], dE[g, k2[m]] * E1[m]
        for m in range(M):
            E1[m] *= E2[m]
        if narrow:
            for m in range(M):
                dN[g, m] *= E1[m]
                E1[m] *= N[g, m]
                dE1[m] *= N[g, m]
                dE2[m] *= N[g, m]
        if mode == VJP:
            for m in range(M):
                W[m], dW[m] = 0.0, 0.0
            for p in range(P):
                column = plan.table[table0 + g * P + p]
                if column >= 0:
                    _add(M, x[a, column], A[p], W)
                    _add(M, x[a, column], dA[p], dW)
            for m in range(M):
                t_cos[m] += E1[m] * dW[m]
            for m in range(M):
                t_1[m] += dE1[m] * W[m]
            for m in range(M):
                t_2[m] += dE2[m] * W[m]
            if narrow:
                for m in range(M):
                    t_d[m] += dN[g, m] * W[m]
            continue
        if mode == JVP:
            for m in range(M):
                W[m] = dE1[m] * t_1[m] + dE2[m] * t_2[m]
            if narrow:
                for m in range(M):
                    W[m] += dN[g, m] * t_d[m]
            for m in range(M):
                E1[m] *= t_cos[m]
        for p in range(P):
            column = plan.table[table0 + g * P + p]
            if column >= 0:
                y[a, column] += _dot(M, E1, A[p]) if mode == FORWARD else _dot(M, W, A[p]) + _dot(M, E1, dA[p])

    if mode == VJP:
        # d cos / d r_1 = r_2 / (|r_1| |r_2|) - cos r_1 / |r_1|², d |r_2 - r_1| / d r_1 = (r_1 - r_2) / |r_2 - r_1|
        for m in range(M):
            t_1[m] -= t_cos[m] * cosine[m] / r1[m]
            t_2[m] -= t_cos[m] * cosine[m] / r2[m]
            t_cos[m] /= r1[m] * r2[m]
            t_d[m] /= d[m]
        for m in range(M):
            i, k = k1[m], k2[m]
            s, t = t_cos[m], t_d[m]
            dx, dy, dz = t * (px[k] - px[i]), t * (py[k] - py[i]), t * (pz[k] - pz[i])
            tr[i] += t_1[m]
            tr[k] += t_2[m]
            tx[i] += s * px[k] - dx
            ty[i] += s * py[k] - dy
            tz[i] += s * pz[k] - dz
            tx[k] += s * px[i] + dx
            ty[k] += s * py[i] + dy
            tz[k] += s * pz[i] + dz


@njit(cache=True, fastmath=True)
def _dot(n, a, b):
    s = a[0] * b[0] * 0.0 if n else 0.0 * a[0]
    for k in range(n):
        s += a[k] * b[k]
    return s


@njit(cache=True, fastmath=True)
def _add(n, factor, a, out):
    for k in range(n):
        out[k] += factor * a[k]
