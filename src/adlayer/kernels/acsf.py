"""Symmetry functions fused: forward, VJP and JVP in one pass over sorted neighbors, no list of triplets.

The meaning is ``descriptors.acsf.definition``. Each atom works alone on its own neighbors, sorted by element. Angular
functions of the same neighbors form a channel, in which radial parts (rows) are shared by functions that differ in their
angular part and angular parts by functions that differ in the radial one, as in n2p2's groups: for a fixed first
neighbor all loops run over contiguous arrays of second neighbors, which compilers turn into vector instructions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from math import acos, cos, exp, pi, radians, sin, sqrt, tanh
from typing import NamedTuple

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from .custom import FORWARD, JVP, VJP

ALL = -1  # in place of an element: all neighbors, weighted by atomic number
GAUSSIAN, COMPACT = 0, 1
_SHAPES = ("hard", "cos", "tanhu", "tanh", "exp", "poly1", "poly2", "poly3", "poly4")
_HARD, _COS, _TANHU, _TANH, _EXP, _POLY1, _POLY2, _POLY3, _POLY4 = range(9)
_CHUNK = 16  # atoms that share one scratch


class Plan(NamedTuple):
    """Symmetry functions as tables. Rows are radial parts: ``(eta or inner, shift, cutoff)`` and ``(family, shape, bent)``."""

    weight: np.ndarray  # [elements], atomic numbers
    cutoff: np.ndarray  # [elements], the longest of each center
    inner: np.ndarray  # [1], fraction of the cutoff up to which Gaussian functions are not damped
    radial_first: np.ndarray  # [elements + 1]
    radial_block: np.ndarray  # [radial]
    radial_row: np.ndarray  # [radial, 3]
    radial_form: np.ndarray  # [radial, 3]
    radial_column: np.ndarray  # [radial]
    channel_first: np.ndarray  # [elements + 1]
    channel: np.ndarray  # [channels, 3]: two elements, narrow
    row_first: np.ndarray  # [channels + 1]
    row: np.ndarray  # [rows, 3]
    row_form: np.ndarray  # [rows, 3]
    angle_first: np.ndarray  # [channels + 1]
    angle: np.ndarray  # [angles, 3]: zeta, lambda, norm, or left, right
    angle_form: np.ndarray  # [angles, 2]
    table_first: np.ndarray  # [channels + 1]
    table: np.ndarray  # [sum of rows * angles], columns or -1


def shape(vectors: Tensor, index: Sequence[Tensor], spec: str) -> tuple[int, int]:
    """Of the features."""
    return index[2].shape[0] - 1, json.loads(spec)["n_features"] if torch.compiler.is_compiling() else _width(spec)


def run(mode: int, vectors: Tensor, x: Tensor | None, index: Sequence[Tensor], spec: str) -> Tensor:
    """One of the three passes; ``x`` is the cotangent or the tangent."""
    _, j, first, species = index
    plan, n_rows, n_angles = _plan(spec, vectors.dtype == torch.float32)
    n_atoms, width = len(first) - 1, _width(spec)
    dummy = vectors.new_empty(0, 0)
    x = dummy if x is None else x.contiguous()
    y = torch.zeros_like(vectors) if mode == VJP else vectors.new_zeros(n_atoms, width)
    if len(j):
        v, x_, y_, j, first, species = (t.detach().numpy() for t in (vectors.contiguous(), x, y, j, first, species))
        _run(mode, v, j, first, species, plan, n_rows, n_angles, x_, y_)
    return y


@lru_cache(maxsize=64)
def _width(spec: str) -> int:
    return json.loads(spec)["n_features"]


@lru_cache(maxsize=64)
def _plan(spec: str, single: bool) -> tuple[Plan, int, int]:
    """Tables of a list of functions, and the largest numbers of rows and angles of a channel."""
    s = json.loads(spec)
    place = {e: k for k, e in enumerate(s["elements"])}
    default = _SHAPES.index(s["cutoff_function"])
    radial: list[list] = [[] for _ in place]
    channels: list[dict] = [{} for _ in place]
    column = [0] * len(place)
    cutoff = [0.0] * len(place)
    for described in s["functions"]:
        ((name, f),) = described.items()
        c = place[f["center"]]
        if name.endswith("Gaussian"):
            row, form = (f["eta"], f["shift"], f["cutoff"]), (GAUSSIAN, default, 0)
        else:
            row, form = (f["inner"], 0.0, f["cutoff"]), (COMPACT, _SHAPES.index(f["shape"]), int(f["asymmetric"]))
        cutoff[c] = max(cutoff[c], f["cutoff"])
        if name.startswith("Radial"):
            block = ALL if f["neighbor"] is None else place[f["neighbor"]]
            radial[c].append((block, row, form, column[c]))
        else:
            pair = (ALL, ALL) if f["neighbors"] is None else tuple(sorted(place[e] for e in f["neighbors"]))
            if form[0] == GAUSSIAN:
                angle = (f["zeta"], f["sign"], 2.0 ** (1 - f["zeta"]), GAUSSIAN, float(f["zeta"]).is_integer())
            else:
                angle = (radians(f["left"]), radians(f["right"]), 1.0, COMPACT, form[1])
            # A hard or unequal end of the range of neighbors is a channel of its own.
            channel = channels[c].setdefault((*pair, int(f["narrow"])), {})
            channel.setdefault((row, form), {}).setdefault(angle, []).append(column[c])
        column[c] += 1
    rows, angles, tables, flat = [], [], [], []
    for of_center in channels:
        for key, grid in of_center.items():
            its_rows = list(grid)
            # Duplicates of one function take one more angle each.
            its_angles = list(
                dict.fromkeys((a, n) for of_row in grid.values() for a in of_row for n in range(len(of_row[a])))
            )
            flat.append(key)
            rows.append(its_rows)
            angles.append([a for a, _ in its_angles])
            tables.append([(grid[r].get(a, [])[n : n + 1] or [-1])[0] for r in its_rows for a, n in its_angles])

    def starts(lists: list) -> np.ndarray:
        return np.cumsum([0] + [len(x) for x in lists])

    def integers(x: list, width: int | None = None) -> np.ndarray:
        return np.array(x, dtype=np.int64).reshape((-1,) if width is None else (-1, width))

    def reals(x: list, width: int | None = None) -> np.ndarray:
        return np.array(x, dtype=np.float32 if single else np.float64).reshape((-1,) if width is None else (-1, width))

    all_radial, all_rows, all_angles = (sum(x, []) for x in (radial, rows, angles))
    plan = Plan(
        weight=reals(s["numbers"]),
        cutoff=reals(cutoff),
        inner=reals([s["inner"]]),
        radial_first=starts(radial),
        radial_block=integers([x[0] for x in all_radial]),
        radial_row=reals([x[1] for x in all_radial], 3),
        radial_form=integers([x[2] for x in all_radial], 3),
        radial_column=integers([x[3] for x in all_radial]),
        channel_first=starts(channels),
        channel=integers(flat, 3),
        row_first=starts(rows),
        row=reals([x[0] for x in all_rows], 3),
        row_form=integers([x[1] for x in all_rows], 3),
        angle_first=starts(angles),
        angle=reals([x[:3] for x in all_angles], 3),
        angle_form=integers([x[3:] for x in all_angles], 2),
        table_first=starts(tables),
        table=integers(sum(tables, [])),
    )
    return plan, max(map(len, rows), default=0), max(map(len, angles), default=0)


@njit(cache=True, fastmath=True, inline="always")
def _shape(kind, x):
    """A way from 1 at 0 to 0 at 1, and its slope."""
    if kind == _COS:
        return 0.5 * (cos(pi * x) + 1.0), -0.5 * pi * sin(pi * x)
    if kind == _POLY1:
        return (2.0 * x - 3.0) * x * x + 1.0, 6.0 * x * (x - 1.0)
    if kind == _POLY2:
        return ((15.0 - 6.0 * x) * x - 10.0) * x * x * x + 1.0, -30.0 * x * x * (x - 1.0) * (x - 1.0)
    if kind == _POLY3:
        x3 = x * x * x
        return (x * (x * (20.0 * x - 70.0) + 84.0) - 35.0) * x3 * x + 1.0, 140.0 * x3 * (x - 1.0) ** 3
    if kind == _POLY4:
        x4 = x * x * x * x
        f = (x * (x * ((315.0 - 70.0 * x) * x - 540.0) + 420.0) - 126.0) * x4 * x + 1.0
        return f, -630.0 * x4 * (x - 1.0) ** 4
    if kind == _EXP:
        w = 1.0 / (1.0 - x * x)
        f = exp(1.0 - w)
        return f, -2.0 * x * w * w * f
    return 1.0, 0.0


@njit(cache=True, fastmath=True)
def _damping(kind, inner, r, cutoff):
    """The cutoff function and its slope, for ``r < cutoff``."""
    if kind == _TANH or kind == _TANHU:
        t = tanh(1.0 - r / cutoff)
        c = 1.0 if kind == _TANHU else 1.0 / tanh(1.0) ** 3
        return c * t * t * t, 3.0 * c * t * t * (t * t - 1.0) / cutoff
    width = cutoff * (1.0 - inner)
    x = (r - inner * cutoff) / width
    if x <= 0.0:
        return 1.0, 0.0
    f, df = _shape(kind, x)
    return f, df / width


@njit(cache=True, fastmath=True)
def _bump(kind, bent, x, left, right):
    """1 in the middle, 0 at the ends, for ``left < x < right``, and its slope."""
    scale = 2.0 / (right - left)
    u = (x - 0.5 * (left + right)) * scale
    if u < 0.0:
        u, scale = -u, -scale
    if bent:
        f, df = _shape(kind, (2.0 - u) * u)
        return f, df * (2.0 - 2.0 * u) * scale
    f, df = _shape(kind, u)
    return f, df * scale


@njit(cache=True, fastmath=True)
def _radial_part(row, form, inner, n, r, f, df):
    """The radial part of one row at ``n`` distances."""
    cutoff = row[2]
    if form[0] == GAUSSIAN:
        eta, shift = row[0], row[1]
        for k in range(n):
            if r[k] < cutoff:
                c, dc = _damping(form[1], inner, r[k], cutoff)
                u = r[k] - shift
                g = exp(-eta * u * u)
                f[k] = g * c
                df[k] = g * (dc - 2.0 * eta * u * c)
            else:
                f[k] = 0.0
                df[k] = 0.0
    else:
        for k in range(n):
            if row[0] < r[k] < cutoff:
                f[k], df[k] = _bump(form[1], form[2] == 1, r[k], row[0], cutoff)
            else:
                f[k] = 0.0
                df[k] = 0.0


@njit(cache=True, fastmath=True)
def _angular_part(angle, form, n, cosine, f, df, base):
    """The angular part at ``n`` cosines and its slope by the cosine."""
    if form[0] == GAUSSIAN:
        zeta, sign, norm = angle[0], angle[1], angle[2]
        if form[1]:
            power = int(zeta) - 1
            for m in range(n):
                base[m] = 1.0 + sign * cosine[m]
                df[m] = norm
                f[m] = base[m]
            while power > 0:
                if power & 1:
                    for m in range(n):
                        df[m] *= base[m]
                power >>= 1
                if power:
                    for m in range(n):
                        base[m] *= base[m]
            for m in range(n):
                f[m] *= df[m]
            c = zeta * sign
            for m in range(n):
                df[m] *= c
        else:
            for m in range(n):
                b = max(1.0 + sign * cosine[m], 0.0)
                f[m] = norm * b**zeta
                df[m] = zeta * sign * f[m] / b if b > 0.0 else 0.0
    else:
        for m in range(n):
            f[m] = 0.0
            df[m] = 0.0
            c = cosine[m]
            if -1.0 < c < 1.0:
                theta = acos(c)
                if angle[0] < theta < angle[1]:
                    f[m], d = _bump(form[1], False, theta, angle[0], angle[1])
                    df[m] = -d / sqrt(1.0 - c * c)


@njit(cache=True, parallel=True, fastmath=True)
def _run(mode, vectors, j, first, species, plan, n_rows, n_angles, x, y):
    n_atoms = len(first) - 1
    most = 0
    for a in range(n_atoms):
        most = max(most, first[a + 1] - first[a])
    width = most + 8
    for chunk in prange((n_atoms + _CHUNK - 1) // _CHUNK):
        edge = np.empty(width, np.int64)
        scratch = np.empty((28 + 4 * n_rows + 2 * n_angles, width), vectors.dtype)
        second = np.empty(width, np.int64)
        block = np.empty(len(plan.weight) + 1, np.int64)
        for a in range(chunk * _CHUNK, min(n_atoms, (chunk + 1) * _CHUNK)):
            _atom(mode, a, vectors, j, first, species, plan, n_rows, n_angles, x, y, edge, second, block, scratch)


@njit(cache=True, fastmath=True)
def _atom(mode, a, vectors, j, first, species, plan, n_rows, n_angles, x, y, edge, second, block, scratch):
    # The neighbors within the longest cutoff, element by element.
    c = species[a]
    n = 0
    rc2 = plan.cutoff[c] * plan.cutoff[c]
    px, py, pz, r, w = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
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
    # Tangents (JVP) or gradients (VJP): tr along the distance, tx, ty, tz along the vector.
    tx, ty, tz, tr = scratch[5], scratch[6], scratch[7], scratch[8]
    if mode == JVP:
        for k in range(n):
            e = edge[k]
            tx[k], ty[k], tz[k] = x[e, 0], x[e, 1], x[e, 2]
            tr[k] = (tx[k] * px[k] + ty[k] * py[k] + tz[k] * pz[k]) / r[k]
    else:
        for k in range(n):
            tx[k], ty[k], tz[k], tr[k] = 0.0, 0.0, 0.0, 0.0

    f, df = scratch[9], scratch[10]
    for q in range(plan.radial_first[c], plan.radial_first[c + 1]):
        b, column = plan.radial_block[q], plan.radial_column[q]
        lo, hi = (0, n) if b == ALL else (block[b], block[b + 1])
        m = hi - lo
        if m == 0:
            continue
        _radial_part(plan.radial_row[q], plan.radial_form[q], plan.inner[0], m, r[lo:hi], f, df)
        if b == ALL:
            for k in range(m):
                f[k] *= w[k]
                df[k] *= w[k]
        if mode == FORWARD:
            s = f[0]
            for k in range(1, m):
                s += f[k]
            y[a, column] = s
        elif mode == VJP:
            g = x[a, column]
            for k in range(m):
                tr[lo + k] += g * df[k]
        else:
            s = df[0] * tr[lo]
            for k in range(1, m):
                s += df[k] * tr[lo + k]
            y[a, column] = s

    for q in range(plan.channel_first[c], plan.channel_first[c + 1]):
        _channel(mode, a, q, n, plan, n_rows, n_angles, x, y, second, block, scratch)

    if mode == VJP:
        for k in range(n):
            e = edge[k]
            g = tr[k] / r[k]
            y[e, 0] = tx[k] + g * px[k]
            y[e, 1] = ty[k] + g * py[k]
            y[e, 2] = tz[k] + g * pz[k]


@njit(cache=True, fastmath=True)
def _channel(mode, a, q, n, plan, n_rows, n_angles, x, y, second, block, scratch):
    """Angular functions of one pair of elements."""
    px, py, pz, r, w = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
    tx, ty, tz, tr = scratch[5], scratch[6], scratch[7], scratch[8]
    b1, b2, narrow = plan.channel[q]
    lo1, hi1 = (0, n) if b1 == ALL else (block[b1], block[b1 + 1])
    lo2, hi2 = (0, n) if b2 == ALL else (block[b2], block[b2 + 1])
    if hi1 == lo1 or hi2 == lo2:
        return
    row0, angle0, table0 = plan.row_first[q], plan.angle_first[q], plan.table_first[q]
    G, P = plan.row_first[q + 1] - row0, plan.angle_first[q + 1] - angle0
    base = 28
    E, dE = scratch[base : base + G], scratch[base + n_rows : base + n_rows + G]  # radial parts of the edges
    base += 2 * n_rows
    N, dN = scratch[base : base + G], scratch[base + n_rows : base + n_rows + G]  # of the neighbors' distance
    base += 2 * n_rows
    A, dA = scratch[base : base + P], scratch[base + n_angles : base + n_angles + P]  # angular parts
    cosine, d, dinv, Ek, dEk = scratch[11], scratch[12], scratch[13], scratch[14], scratch[15]
    W, dW, R, spare = scratch[16], scratch[17], scratch[18], scratch[19]
    s_cos, s_d, s_k = scratch[20], scratch[21], scratch[22]
    longest = 0.0
    for g in range(G):
        longest = max(longest, plan.row[row0 + g, 2])
        _radial_part(plan.row[row0 + g], plan.row_form[row0 + g], plan.inner[0], n, r, E[g], dE[g])
        if b1 == ALL:
            for k in range(n):
                E[g, k] *= w[k]
                dE[g, k] *= w[k]

    for k1 in range(lo1, hi1):
        if r[k1] >= longest:
            continue
        x1, y1, z1, r1 = px[k1], py[k1], pz[k1], r[k1]
        # The second neighbors, those within reach put one after another.
        M = 0
        for k in range(k1 + 1 if b1 == b2 else lo2, hi2):
            dx, dy, dz = px[k] - x1, py[k] - y1, pz[k] - z1
            d2 = dx * dx + dy * dy + dz * dz
            if r[k] < longest and (narrow == 0 or d2 < longest * longest):
                second[M] = k
                d[M] = d2
                cosine[M] = px[k] * x1 + py[k] * y1 + pz[k] * z1
                R[M] = r[k]
                M += 1
        if M == 0:
            continue
        for m in range(M):
            cosine[m] /= R[m] * r1
        if narrow:
            for m in range(M):
                d[m] = sqrt(d[m])
            for g in range(G):
                _radial_part(plan.row[row0 + g], plan.row_form[row0 + g], plan.inner[0], M, d, N[g], dN[g])
        for p in range(P):
            _angular_part(plan.angle[angle0 + p], plan.angle_form[angle0 + p], M, cosine, A[p], dA[p], spare)

        if mode == VJP:
            for m in range(M):
                s_cos[m], s_d[m], s_k[m] = 0.0, 0.0, 0.0
        elif mode == JVP:  # tangents of cosine, neighbors' distance and second distance
            for m in range(M):
                k = second[m]
                s_k[m] = tr[k]
                dot = x1 * tx[k] + y1 * ty[k] + z1 * tz[k] + px[k] * tx[k1] + py[k] * ty[k1] + pz[k] * tz[k1]
                s_cos[m] = dot / (r1 * r[k]) - cosine[m] * (tr[k] / r[k] + tr[k1] / r1)
                if narrow:
                    s_d[m] = (
                        (px[k] - x1) * (tx[k] - tx[k1])
                        + (py[k] - y1) * (ty[k] - ty[k1])
                        + (pz[k] - z1) * (tz[k] - tz[k1])
                    ) / d[m]
        s_1 = tr[k1]
        for g in range(G):
            E1, dE1 = E[g, k1], dE[g, k1]
            if E1 == 0.0 and dE1 == 0.0:
                continue
            for m in range(M):
                Ek[m] = E[g, second[m]]
            if mode == FORWARD:
                if narrow:
                    for m in range(M):
                        R[m] = E1 * Ek[m] * N[g, m]
                else:
                    for m in range(M):
                        R[m] = E1 * Ek[m]
                for p in range(P):
                    column = plan.table[table0 + g * P + p]
                    if column >= 0:
                        y[a, column] += _dot(M, R, A[p])
                continue
            for m in range(M):
                dEk[m] = dE[g, second[m]]
            if mode == VJP:
                for m in range(M):
                    W[m] = 0.0
                    dW[m] = 0.0
                for p in range(P):
                    column = plan.table[table0 + g * P + p]
                    if column >= 0:
                        _add(M, x[a, column], A[p], W)
                        _add(M, x[a, column], dA[p], dW)
                if narrow:
                    s_1 += dE1 * _dot3(M, Ek, N[g], W)
                    for m in range(M):
                        s_cos[m] += E1 * Ek[m] * N[g, m] * dW[m]
                    for m in range(M):
                        s_k[m] += E1 * dEk[m] * N[g, m] * W[m]
                    for m in range(M):
                        s_d[m] += E1 * Ek[m] * dN[g, m] * W[m]
                else:
                    s_1 += dE1 * _dot(M, Ek, W)
                    for m in range(M):
                        s_cos[m] += E1 * Ek[m] * dW[m]
                    for m in range(M):
                        s_k[m] += E1 * dEk[m] * W[m]
            else:
                if narrow:
                    for m in range(M):
                        R[m] = N[g, m] * (dE1 * s_1 * Ek[m] + E1 * dEk[m] * s_k[m]) + E1 * Ek[m] * dN[g, m] * s_d[m]
                    for m in range(M):
                        W[m] = E1 * Ek[m] * N[g, m] * s_cos[m]
                else:
                    for m in range(M):
                        R[m] = dE1 * s_1 * Ek[m] + E1 * dEk[m] * s_k[m]
                    for m in range(M):
                        W[m] = E1 * Ek[m] * s_cos[m]
                for p in range(P):
                    column = plan.table[table0 + g * P + p]
                    if column >= 0:
                        y[a, column] += _dot(M, R, A[p]) + _dot(M, W, dA[p])

        if mode == VJP:
            # d cos / d r_1 = r_2 / (|r_1| |r_2|) - cos r_1 / r_1², d |r_2 - r_1| / d r_1 = (r_1 - r_2) / |r_2 - r_1|
            gx, gy, gz = 0.0 * x1, 0.0 * x1, 0.0 * x1
            for m in range(M):
                k = second[m]
                u = s_cos[m] / (r1 * r[k])
                v = s_d[m] / d[m] if narrow else 0.0 * u
                tr[k] += s_k[m] - s_cos[m] * cosine[m] / r[k]
                s_1 -= s_cos[m] * cosine[m] / r1
                gx += u * px[k] - v * (px[k] - x1)
                gy += u * py[k] - v * (py[k] - y1)
                gz += u * pz[k] - v * (pz[k] - z1)
                tx[k] += u * x1 + v * (px[k] - x1)
                ty[k] += u * y1 + v * (py[k] - y1)
                tz[k] += u * z1 + v * (pz[k] - z1)
            tr[k1] = s_1
            tx[k1] += gx
            ty[k1] += gy
            tz[k1] += gz


@njit(cache=True, fastmath=True)
def _dot(n, a, b):
    s = 0.0 * a[0]
    for m in range(n):
        s += a[m] * b[m]
    return s


@njit(cache=True, fastmath=True)
def _dot3(n, a, b, c):
    s = 0.0 * a[0]
    for m in range(n):
        s += a[m] * b[m] * c[m]
    return s


@njit(cache=True, fastmath=True)
def _add(n, factor, a, out):
    for m in range(n):
        out[m] += factor * a[m]
