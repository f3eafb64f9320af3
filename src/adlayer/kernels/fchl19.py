"""The features of FCHL19 fused: forward, VJP, JVP and Jacobian in one pass over sorted neighbors, no list of triplets.

The meaning is ``descriptors.fchl19.definition``. Each atom works alone on its own neighbors, sorted by element, and
pairs of neighbors are worked on in blocks. Their Gaussians are products,

    exp(-eta ((r + r') / 2 - R)²) = exp(-eta d²) x_R(r) x_R(r') exp(-eta t²),   x_R(r) = exp(eta (r - c) t),

with ``d = (r + r') / 2 - c`` and ``t = R - c`` from the middle ``c`` of the radii, so that a pair takes one exponential
for all radii. All is done in double precision.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from math import cos, exp, log, pi, sin, sqrt
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from torch import Tensor

from .acsf import _dot, _exp
from .aev import _gather, _log
from .custom import FORWARD, JVP, VJP
from .simd import WIDTH, load, spread, store, total

_JACOBIAN = 3
_CHUNK = 16  # atoms that share one scratch
_BLOCK = 128  # pairs of neighbors that are worked on together
_DOT, _R1, _R2 = 4, 6, 8  # where a pair keeps slopes of its two weights by r_1 · r_2, |r_1| and |r_2|


class Plan(NamedTuple):
    """The constants as the kernel reads them."""

    n_elements: int
    n_angular: int
    cutoff: np.ndarray  # [2]: of two and of three bodies
    radial: np.ndarray  # [2]: eta2, decay
    angular: np.ndarray  # [5]: eta3, decay, amplitude, middle of the radii, sin² below which atoms are in line
    radii: np.ndarray  # [2, R]: ln R and 1 / (R sqrt(2 pi))
    steps: np.ndarray  # [2, lanes]: t and exp(-eta3 t²); the latter zero beyond the last radius


@lru_cache(maxsize=64)
def plan_of(spec: str) -> Plan:
    """The constants of a descriptor."""
    s = json.loads(spec)
    R2, R3 = np.array(s["radial"]), np.array(s["angular"])
    middle = 0.5 * (R3[0] + R3[-1])
    steps = np.zeros((2, -(-len(R3) // WIDTH) * WIDTH))
    steps[0, : len(R3)], steps[1, : len(R3)] = R3 - middle, np.exp(-s["eta3"] * (R3 - middle) ** 2)
    return Plan(
        s["n_elements"],
        len(R3),
        np.array([s["cutoff"], s["angular_cutoff"]]),
        np.array([s["eta2"], s["two_body_decay"]]),
        np.array([s["eta3"], s["three_body_decay"], s["amplitude"], middle, s["in_line"]]),
        np.array([np.log(R2), 1 / (R2 * sqrt(2 * pi))]),
        steps,
    )


def width_of(plan: Plan) -> int:
    """How many features there are."""
    return plan.n_elements * (plan.radii.shape[1] + (plan.n_elements + 1) * plan.n_angular)


def shape(vectors: Tensor, index: Sequence[Tensor], spec: str) -> tuple[int, int]:
    """Of the features."""
    return index[2].shape[0] - 1, width_of(plan_of(spec))


def run(mode: int, vectors: Tensor, x: Tensor | None, index: Sequence[Tensor], spec: str) -> Tensor:
    """One of the three passes; ``x`` is the cotangent or the tangent."""
    _, j, first, species = index
    plan = plan_of(spec)
    v = vectors.detach().double().contiguous()
    x = v.new_empty(0, 0) if x is None else x.detach().double().contiguous()
    rows = {FORWARD: len(first) - 1, JVP: len(first) - 1, VJP: len(v), _JACOBIAN: 3 * len(v)}[mode]
    y = v.new_zeros(rows, 3 if mode == VJP else width_of(plan))
    if len(j):
        _run(mode, v.numpy(), j.numpy(), first.numpy(), species.numpy(), plan, x.numpy(), y.numpy())
    return y.to(vectors)


def jacobian(vectors: Tensor, index: Sequence[Tensor], spec: str) -> Tensor:
    """Derivatives of the features of an atom by the vectors that leave it, [edges, 3, features]."""
    return run(_JACOBIAN, vectors, None, index, spec).view(len(vectors), 3, -1)


@njit(cache=True, parallel=True, fastmath=True)
def _run(mode, vectors, j, first, species, plan, x, y):
    n_atoms, lanes = len(first) - 1, plan.steps.shape[1]
    most = 0
    for a in range(n_atoms):
        most = max(most, first[a + 1] - first[a])
    n_pairs = plan.n_elements * (plan.n_elements + 1) // 2
    for chunk in prange((n_atoms + _CHUNK - 1) // _CHUNK):
        edge, block = np.empty(most, np.int64), np.empty(plan.n_elements + 1, np.int64)
        near, powers = np.empty((10, most)), np.empty((most, lanes))
        features = np.empty((n_pairs, 2, lanes))
        slopes = np.empty((most if mode == _JACOBIAN else 0, n_pairs, 3, 2, lanes))
        ends, pairs = np.empty((2, _BLOCK), np.int64), np.empty((13, _BLOCK))
        for a in range(chunk * _CHUNK, min(n_atoms, (chunk + 1) * _CHUNK)):
            scratch = (edge, block, near, powers, features, slopes, ends, pairs)
            _atom(mode, a, vectors, j, first, species, plan, x, y, scratch)


@njit(cache=True, fastmath=True)
def _atom(mode, a, vectors, j, first, species, plan, x, y, scratch):
    edge, block, near, powers, features, slopes, ends, pairs = scratch
    n = _gather(plan.cutoff[0], a, vectors, j, first, species, plan.n_elements, edge, block, near)
    r = near[3]
    # Tangents (JVP) or gradients (VJP) by the vectors and, beside them, by the distances; tangents are often few.
    t, tr = near[4:7], near[7]
    moves = np.ones(n, np.bool_)
    for k in range(n):
        for c in range(3):
            t[c, k] = x[edge[k], c] if mode == JVP else 0.0
        tr[k] = (t[0, k] * near[0, k] + t[1, k] * near[1, k] + t[2, k] * near[2, k]) / r[k]
        if mode == JVP:
            moves[k] = t[0, k] != 0.0 or t[1, k] != 0.0 or t[2, k] != 0.0
    if n == 0 or not moves.any():
        return
    _two_body(mode, a, plan, x, y, edge, block, near)
    eta, decay, middle = plan.angular[0], plan.angular[1], plan.angular[3]
    h, dh, x_ = near[8], near[9], np.empty(powers.shape[1])
    for k in range(n):
        if r[k] < plan.cutoff[1]:
            turn, fade = pi / plan.cutoff[1], exp(-decay * log(r[k]))
            h[k] = 0.5 * (1.0 + cos(turn * r[k])) * fade
            dh[k] = -0.5 * turn * sin(turn * r[k]) * fade - decay * h[k] / r[k]
            for l in range(powers.shape[1]):
                x_[l] = eta * (r[k] - middle) * plan.steps[0, l]
            _exp(powers.shape[1], x_, powers[k])
    R, L = plan.radii.shape[1], plan.n_angular
    start, b = plan.n_elements * R, 0
    if mode == _JACOBIAN:
        slopes[:n] = 0.0
    for b1 in range(plan.n_elements):
        for b2 in range(b1, plan.n_elements):
            F, column, M = features[b], start + 2 * L * b, 0
            for c in range(2):
                for l in range(powers.shape[1]):
                    F[c, l] = x[a, column + 2 * l + c] * plan.steps[1, l] if mode == VJP and l < L else 0.0
            for k1 in range(block[b1], block[b1 + 1]):
                if r[k1] >= plan.cutoff[1]:
                    continue
                for k2 in range(k1 + 1 if b1 == b2 else block[b2], block[b2 + 1]):
                    if r[k2] < plan.cutoff[1] and (moves[k1] or moves[k2]):
                        ends[0, M], ends[1, M] = k1, k2
                        M += 1
                        if M == _BLOCK:
                            _pairs(mode, b, M, plan, near, powers, F, slopes, ends, pairs)
                            M = 0
            if M > 0:
                _pairs(mode, b, M, plan, near, powers, F, slopes, ends, pairs)
            if mode in (FORWARD, JVP):
                _interleave(L, F, plan.steps[1], y[a, column:])
            elif mode == _JACOBIAN:
                for k in range(n):
                    for d in range(3):
                        _interleave(L, slopes[k, b, d], plan.steps[1], y[3 * edge[k] + d, column:])
            b += 1
    if mode == VJP:
        for k in range(n):
            for c in range(3):
                y[edge[k], c] = t[c, k] + tr[k] / r[k] * near[c, k]


@njit(cache=True, fastmath=True)
def _interleave(n, F, factor, out):
    """Cosine and sine in turns, as the features are."""
    for l in range(n):
        out[2 * l] = F[0, l] * factor[l]
        out[2 * l + 1] = F[1, l] * factor[l]


@njit(cache=True, fastmath=True)
def _two_body(mode, a, plan, x, y, edge, block, near):
    r, tr = near[3], near[7]
    eta, decay, R = plan.radial[0], plan.radial[1], plan.radii.shape[1]
    away, x_, g = np.empty(R), np.empty(R), np.empty(R)
    for s in range(plan.n_elements):
        column = s * R
        for k in range(block[s], block[s + 1]):
            s2 = log(1.0 + eta / (r[k] * r[k]))
            ds2 = -2.0 * eta / (r[k] * (r[k] * r[k] + eta))
            mu, dmu = log(r[k]) - 0.5 * s2, 1.0 / r[k] - 0.5 * ds2
            scale = exp(-decay * log(r[k])) / sqrt(s2)
            turn = pi / plan.cutoff[0]
            f, df = 0.5 * (1.0 + cos(turn * r[k])), -0.5 * turn * sin(turn * r[k])
            for q in range(R):
                away[q] = plan.radii[0, q] - mu
                x_[q] = -0.5 * away[q] * away[q] / s2
            _exp(R, x_, g)
            for q in range(R):
                g[q] *= scale * plan.radii[1, q]
            if mode == FORWARD:
                for q in range(R):
                    y[a, column + q] += f * g[q]
                continue
            for q in range(R):
                u = away[q] / s2
                g[q] *= df + f * (u * dmu + 0.5 * (u * u - 1.0 / s2) * ds2 - decay / r[k])
            if mode == VJP:
                tr[k] += _dot(R, g, x[a, column : column + R])
            elif mode == JVP:
                for q in range(R):
                    y[a, column + q] += g[q] * tr[k]
            else:
                for d in range(3):
                    for q in range(R):
                        y[3 * edge[k] + d, column + q] = g[q] * near[d, k] / r[k]


@njit(cache=True, fastmath=True)
def _pairs(mode, b, M, plan, near, powers, F, slopes, ends, pairs):
    """What ``M`` pairs of neighbors add to the features ``F`` of a pair of elements, or get from their gradients."""
    _weights(mode, M, plan, near, ends, pairs)
    eta, lanes = plan.angular[0], powers.shape[1]
    one, other, w_c, w_s, r, t, tr = ends[0], ends[1], pairs[0], pairs[1], near[3], near[4:7], near[7]
    if mode == FORWARD:
        for begin in range(0, lanes, WIDTH):
            C, S = load(F[0, begin:]), load(F[1, begin:])
            for m in range(M):
                p = load(powers[one[m], begin:]) * load(powers[other[m], begin:])
                C += w_c[m] * p
                S += w_s[m] * p
            store(F[0, begin:], C)
            store(F[1, begin:], S)
    elif mode == JVP:
        for m in range(M):
            i, k, dot = one[m], other[m], 0.0
            for c in range(3):
                dot += near[c, i] * t[c, k] + near[c, k] * t[c, i]
            for c in range(2):
                pairs[10 + c, m] = pairs[_DOT + c, m] * dot + pairs[_R1 + c, m] * tr[i] + pairs[_R2 + c, m] * tr[k]
            pairs[12, m] = eta * (tr[i] + tr[k])
        for begin in range(0, lanes, WIDTH):
            C, S, step = load(F[0, begin:]), load(F[1, begin:]), load(plan.steps[0, begin:])
            for m in range(M):
                p = load(powers[one[m], begin:]) * load(powers[other[m], begin:])
                along = pairs[12, m] * step
                C += (pairs[10, m] + w_c[m] * along) * p
                S += (pairs[11, m] + w_s[m] * along) * p
            store(F[0, begin:], C)
            store(F[1, begin:], S)
    elif mode == VJP:
        for m in range(M):
            i, k = one[m], other[m]
            C, S, T = spread(0.0, F), spread(0.0, F), spread(0.0, F)
            for begin in range(0, lanes, WIDTH):
                p = load(powers[i, begin:]) * load(powers[k, begin:])
                c, s = p * load(F[0, begin:]), p * load(F[1, begin:])
                C += c
                S += s
                T += load(plan.steps[0, begin:]) * (w_c[m] * c + w_s[m] * s)
            C_, S_, along = total(C), total(S), eta * total(T)
            dot = pairs[_DOT, m] * C_ + pairs[_DOT + 1, m] * S_
            tr[i] += pairs[_R1, m] * C_ + pairs[_R1 + 1, m] * S_ + along
            tr[k] += pairs[_R2, m] * C_ + pairs[_R2 + 1, m] * S_ + along
            for c in range(3):
                t[c, i] += dot * near[c, k]
                t[c, k] += dot * near[c, i]
    else:
        for m in range(M):
            i, k = one[m], other[m]
            for c in range(2):
                tilt_i, tilt_k, dot = eta * pairs[c, m] / r[i], eta * pairs[c, m] / r[k], pairs[_DOT + c, m]
                by_i, by_k = pairs[_R1 + c, m] / r[i], pairs[_R2 + c, m] / r[k]
                for begin in range(0, lanes, WIDTH):
                    step, p = load(plan.steps[0, begin:]), load(powers[i, begin:]) * load(powers[k, begin:])
                    along_i, along_k, across = (by_i + tilt_i * step) * p, (by_k + tilt_k * step) * p, dot * p
                    for d in range(3):
                        v_i, v_k = near[d, i], near[d, k]
                        to_i, to_k = slopes[i, b, d, c, begin:], slopes[k, b, d, c, begin:]
                        store(to_i, load(to_i) + v_i * along_i + v_k * across)
                        store(to_k, load(to_k) + v_k * along_k + v_i * across)


@njit(cache=True, fastmath=True)
def _weights(mode, M, plan, near, ends, pairs):
    """What each pair multiplies its powers with, for cosine and sine, and slopes by ``r_1 · r_2``, ``r_1`` and ``r_2``.

    The angle's sine has the slope ``-bend`` by its cosine.
    """
    eta, decay, amplitude, middle, in_line = plan.angular
    r, h, dh = near[3], near[8], near[9]
    dot, dist2, sin2, damp, x = pairs[4], pairs[5], pairs[6], pairs[7], pairs[8]
    for m in range(M):
        i, k = ends[0, m], ends[1, m]
        xi, yi, zi, xk, yk, zk = near[0, i], near[1, i], near[2, i], near[0, k], near[1, k], near[2, k]
        dot[m] = xi * xk + yi * yk + zi * zk
        dist2[m] = (xk - xi) ** 2 + (yk - yi) ** 2 + (zk - zi) ** 2
        sin2[m] = ((yi * zk - zi * yk) ** 2 + (zi * xk - xi * zk) ** 2 + (xi * yk - yi * xk) ** 2) / (
            r[i] * r[i] * r[k] * r[k]
        )
        damp[m] = dist2[m]
    _log(M, damp, x)
    for m in range(M):
        d = 0.5 * (r[ends[0, m]] + r[ends[1, m]]) - middle
        x[m] = -0.5 * decay * x[m] - eta * d * d
    _exp(M, x, damp)
    for m in range(M):
        i, k = ends[0, m], ends[1, m]
        r1, r2, D, dt = r[i], r[k], dist2[m], dot[m]
        A, B, base = r1 * r1, r2 * r2, amplitude * damp[m]
        c, volume = dt / (r1 * r2), 1.0 / (A * B * D)
        # in line, the slope of the sine is that of sin² over a constant
        straight = sin2[m] < in_line
        s = sin2[m] / sqrt(in_line) if straight else sqrt(sin2[m])
        cosines = dt * (A - dt) * (B - dt) * volume
        factor = 1.0 + 3.0 * cosines
        w = base * h[i] * h[k] * factor
        pairs[0, m], pairs[1, m] = w * c, w * s
        if mode == FORWARD:
            continue
        bend = 2.0 * c / sqrt(in_line) if straight else c / s
        three = 3.0 * base * h[i] * h[k]
        by_D = -three * cosines / D - 0.5 * decay * w / D
        w_dot = three * volume * ((A - dt) * (B - dt) - dt * (B - dt) - dt * (A - dt)) - 2.0 * by_D
        inward = eta * w * (0.5 * (r1 + r2) - middle)
        w_1 = base * dh[i] * h[k] * factor - inward
        w_2 = base * h[i] * dh[k] * factor - inward
        w_1 += 2.0 * r1 * (three * (volume * dt * (B - dt) - cosines / A) + by_D)
        w_2 += 2.0 * r2 * (three * (volume * dt * (A - dt) - cosines / B) + by_D)
        pairs[_DOT, m], pairs[_DOT + 1, m] = w_dot * c + w / (r1 * r2), w_dot * s - bend * w / (r1 * r2)
        pairs[_R1, m], pairs[_R1 + 1, m] = w_1 * c - w * c / r1, w_1 * s + bend * w * c / r1
        pairs[_R2, m], pairs[_R2 + 1, m] = w_2 * c - w * c / r2, w_2 * s + bend * w * c / r2
