"""The bispectrum fused: forward, VJP and JVP in one pass over sorted neighbors.

The meaning is ``nn.sphere.definition``. Sums over neighbors run over ``WIDTH`` edges of an atom at a time (see
``sphere``), couplings over ``WIDTH`` atoms. ``B^r_pq / (2 r + 1)`` does not depend on the order of ``p, q, r``. So for
``p >= q`` and all ``r``, ``Z^r_pq = C C c^p c^q`` is the derivative by ``c^r`` of

    1: B^r_pq                                where r >= p
    2: B^p_rq  times (2 p + 1) / (2 r + 1)   where p >= r >= q
    3: B^p_qr  times (2 p + 1) / (2 r + 1)   where q >= r

and the weighted sum of all ``Z``, one matrix for each degree, is what a weighted sum of components is differentiated
to; the derivative by a neighbor is its product with one matrix more (see ``sphere``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from ..nn.sphere import Sphere, sphere_of
from ..nn.wigner import clebsch_gordan, triples
from .custom import FORWARD, JVP, VJP
from .simd import WIDTH, load, spread, store
from .sphere import fast, gather, moved, n_densities, points_of, room, scatter, turned


class Couplings(NamedTuple):
    """Which ``Z`` there are; degrees are doubled."""

    pairs: np.ndarray  # [pair, (p, q)]
    first: np.ndarray  # [pair + 1] where the terms of a pair begin
    degree: np.ndarray  # [term] r
    start: np.ndarray  # [term + 1] where the harmonics of a term begin among all
    C_start: np.ndarray  # [term] where its Clebsch-Gordan coefficients begin
    C: np.ndarray  # [m1 of p, m2 of q] of each term, one after another
    component: np.ndarray  # [term, kind - 1] of which it is a derivative, or -1
    factor: np.ndarray  # [term, kind - 1]


@lru_cache(maxsize=64)
def couplings_of(twojmax: int, dtype: type) -> Couplings:
    """Tables of all ``p >= q``."""
    place = {t: k for k, t in enumerate(triples(twojmax))}
    pairs = [(p, q) for p in range(twojmax + 1) for q in range(p + 1)]
    degrees = [list(range(p - q, min(twojmax, p + q) + 1, 2)) for p, q in pairs]
    terms = [(p, q, r) for (p, q), rs in zip(pairs, degrees) for r in rs]
    C = [clebsch_gordan(p, q, r).sum(2).ravel() for p, q, r in terms]  # m is m1 + m2
    component, factor = np.full((len(terms), 3), -1), np.zeros((len(terms), 3), dtype)
    for t, (p, q, r) in enumerate(terms):
        for kind, triple in enumerate(((p, q, r), (r, q, p), (q, r, p))):
            if triple in place:
                component[t, kind] = place[triple]
                factor[t, kind] = 1 if kind == 0 else (p + 1) / (r + 1)
    return Couplings(
        pairs=np.array(pairs),
        first=np.cumsum([0] + [len(rs) for rs in degrees]),
        degree=np.array([r for *_, r in terms]),
        start=np.cumsum([0] + [(r // 2 + 1) * (r + 1) for *_, r in terms]),
        C_start=np.cumsum([0] + [len(x) for x in C]),
        C=np.concatenate(C).astype(dtype),
        component=component,
        factor=factor,
    )


def n_components(s: Sphere) -> int:
    """Of one atom."""
    return len(triples(s.twojmax)) * s.n_densities**3


def shape(vectors: Tensor, index: Sequence[Tensor], spec: str) -> tuple[int, int]:
    """Of the components."""
    return index[2].shape[0] - 1, n_components(sphere_of(spec))


def run(mode: int, vectors: Tensor, x: Tensor | None, index: Sequence[Tensor], spec: str) -> Tensor:
    """One of the three passes; ``x`` is the cotangent or the tangent."""
    _, j, first, species = index
    s, dtype = sphere_of(spec), np.float32 if vectors.dtype == torch.float32 else np.float64
    n_atoms = len(first) - 1
    y = torch.zeros_like(vectors) if mode == VJP else vectors.new_zeros(n_atoms, n_components(s))
    x = vectors.new_empty(0, 0) if x is None else x.contiguous()
    v, x, out, j, first, species = (t.detach().numpy() for t in (vectors.contiguous(), x, y, j, first, species))
    n_threads = max(1, min(numba.get_num_threads(), -(-n_atoms // WIDTH)))
    _run(mode, v, j, first, species, points_of(spec, dtype), couplings_of(s.twojmax, dtype), x, out, n_threads)
    return y


@njit(**fast)
def most_chunks(first, T, width):
    """Room that the edges of any ``width`` atoms in turn need; each atom may leave one unfilled per density."""
    n, most = len(first) - 1, 0
    for a in range(0, n, width):
        end = min(a + width, n)
        most = max(most, (first[end] - first[a]) // WIDTH + (end - a) * n_densities(T))
    return most


@njit(parallel=True, **fast)
def _run(mode, vectors, j, first, species, T, C, x, out, n_threads):
    n_atoms, n, n_U = len(first) - 1, n_densities(T), T.start[-1]
    n_B, most, like = out.shape[1] // n**3, most_chunks(first, T, WIDTH), vectors
    if mode == VJP:
        n_B = x.shape[1] // n**3
    for thread in prange(n_threads):
        edges, c = room(most, T, like), np.zeros((n, n_U, 2), like.dtype)
        V, Z, P = buffers(T, C, n, like)
        D = np.empty((n, n_U, 2, WIDTH), like.dtype)  # the change of c, or what it is differentiated to
        y = np.empty((n_B * n**3, WIDTH), like.dtype)
        dU, Q = np.empty((n_U, 2, WIDTH), like.dtype), np.empty((n, n_U, 8), like.dtype)
        end = np.empty(WIDTH + 1, np.int64)
        for begin in range(thread * WIDTH, n_atoms, n_threads * WIDTH):
            lanes = min(WIDTH, n_atoms - begin)
            end[0] = 0
            y[:] = 0
            D[:] = 0
            for lane in range(lanes):
                a = begin + lane
                end[lane + 1] = gather(a, T, first, j, species, vectors, edges, end[lane], c)
                mirror(T, c, V, lane)
                if mode == JVP:
                    _change(T, x, edges, end[lane], end[lane + 1], dU, D, lane)
                if mode == VJP:
                    for k in range(len(y)):
                        y[k, lane] = x[a, k]
            for e1 in range(n):
                for e2 in range(n):
                    couple(C, V[e1], V[e2], Z, P, e1 == e2, mode == FORWARD)
                    if mode == VJP:
                        pull(T, C, Z, e1, e2, n_B, y, D)
                    elif mode == JVP:
                        _push(T, C, Z, e1, e2, n_B, D, y)
                    else:
                        values(C, Z, V, e1, e2, n_B, y)
            for lane in range(lanes):
                if mode == VJP:
                    for e3 in range(n):
                        turned(D[e3], T, Q[e3], lane)
                    scatter(Q, edges, end[lane], end[lane + 1], out)
                else:
                    for k in range(len(y)):
                        out[begin + lane, k] = y[k, lane]


@njit(**fast)
def buffers(T, C, n, like):
    """Room for ``c`` in full, with where its degrees begin, for ``Z`` and for products."""
    J = len(T.start) - 2
    n_full = (J + 1) * (J + 2) * (2 * J + 3) // 6
    return (
        np.zeros((n, n_full, 2, WIDTH), like.dtype),
        np.empty((C.start[-1], 2, WIDTH), like.dtype),
        np.empty(((J + 1) ** 2, 2, WIDTH), like.dtype),
    )


@njit(**fast)
def mirror(T, c, V, lane):
    """All rows of ``c`` from those up to the middle, into one lane."""
    for e in range(len(c)):
        full = 0
        for tj in range(len(T.start) - 1):
            size, half = (tj + 1) ** 2, T.start[tj + 1] - T.start[tj]
            for k in range(half):
                V[e, full + k, 0, lane] = c[e, T.start[tj] + k, 0]
                V[e, full + k, 1, lane] = c[e, T.start[tj] + k, 1]
            for k in range(half, size):
                other, odd = T.start[tj] + size - 1 - k, (k // (tj + 1) + k % (tj + 1)) % 2
                V[e, full + k, 0, lane] = -c[e, other, 0] if odd else c[e, other, 0]
                V[e, full + k, 1, lane] = c[e, other, 1] if odd else -c[e, other, 1]
            full += size


@njit(**fast)
def couple(C, A, B, Z, P, same, largest):
    """``Z^r_m'm = C^r_p,q C^r_p,q A^p B^q`` of rows up to the middle, times 2 where the mirror image counts as well.

    ``same``: ``A`` is ``B``; ``largest``: only where ``r >= p``.
    """
    zero = spread(0.0, Z)
    for pair in range(len(C.pairs)):
        p, q = C.pairs[pair, 0], C.pairs[pair, 1]
        A0, B0 = p * (p + 1) * (2 * p + 1) // 6, q * (q + 1) * (2 * q + 1) // 6
        t0, t1 = C.first[pair], C.first[pair + 1]
        while largest and t0 < t1 and C.degree[t0] < p:
            t0 += 1
        if t0 == t1:
            continue
        for k in range(C.start[t0], C.start[t1]):
            store(Z[k, 0], zero)
            store(Z[k, 1], zero)
        for mp in range(p + 1):
            for mq in range(mp + 1 if same and p == q else q + 1):
                # The row of r is mp + mq - (p + q - r) / 2, at least 0 and up to r / 2.
                if 2 * (mp + mq) > p + q or C.degree[t1 - 1] < p + q - 2 * (mp + mq):
                    continue
                for m1 in range(p + 1):
                    ar, ai = load(A[A0 + mp * (p + 1) + m1, 0]), load(A[A0 + mp * (p + 1) + m1, 1])
                    for m2 in range(q + 1):
                        b = B0 + mq * (q + 1) + m2
                        br, bi = load(B[b, 0]), load(B[b, 1])
                        store(P[m1 * (q + 1) + m2, 0], ar * br - ai * bi)
                        store(P[m1 * (q + 1) + m2, 1], ar * bi + ai * br)
                for t in range(t0, t1):
                    r = C.degree[t]
                    shift = (p + q - r) // 2
                    row, table = mp + mq - shift, C.C[C.C_start[t] : C.C_start[t + 1]]
                    if row < 0:
                        continue
                    outer = table[mp * (q + 1) + mq] * (2 if 2 * row < r else 1)
                    outer *= 2 if same and p == q and mq < mp else 1
                    here = C.start[t] + row * (r + 1)
                    for m in range(r + 1):
                        re, im, s = zero, zero, m + shift
                        for m1 in range(max(0, s - q), min(p, s) + 1):
                            k = m1 * (q + 1) + s - m1
                            re += table[k] * load(P[k, 0])
                            im += table[k] * load(P[k, 1])
                        store(Z[here + m, 0], load(Z[here + m, 0]) + outer * re)
                        store(Z[here + m, 1], load(Z[here + m, 1]) + outer * im)


@njit(**fast)
def component(kind, e1, e2, e3, n, n_B, b):
    """The place of component ``b`` whose derivative by the density of ``e3`` is the ``Z`` of ``e1`` and ``e2``."""
    if kind == 0:
        return ((e1 * n + e2) * n + e3) * n_B + b
    if kind == 1:
        return ((e3 * n + e2) * n + e1) * n_B + b
    return ((e2 * n + e3) * n + e1) * n_B + b


@njit(**fast)
def values(C, Z, V, e1, e2, n_B, y):
    """``B^r_pq = Re c^r* . Z^r_pq`` with ``r >= p``."""
    n = len(V)
    for t in range(len(C.degree)):
        b, r = C.component[t, 0], C.degree[t]
        if b < 0:
            continue
        full = r * (r + 1) * (2 * r + 1) // 6
        for e3 in range(n):
            S = spread(0.0, Z)
            for k in range(C.start[t + 1] - C.start[t]):
                z, v = Z[C.start[t] + k], V[e3, full + k]
                S += load(z[0]) * load(v[0]) + load(z[1]) * load(v[1])
            store(y[component(0, e1, e2, e3, n, n_B, b)], S)


@njit(**fast)
def pull(T, C, Z, e1, e2, n_B, y, D):
    """Add ``sum_b y_b dB_b/dc`` to ``D``."""
    n = len(D)
    for t in range(len(C.degree)):
        start = T.start[C.degree[t]]
        for e3 in range(n):
            w = spread(0.0, Z)
            for kind in range(3):
                if C.component[t, kind] >= 0:
                    b = component(kind, e1, e2, e3, n, n_B, C.component[t, kind])
                    w += C.factor[t, kind] * load(y[b])
            for k in range(C.start[t + 1] - C.start[t]):
                z, d = Z[C.start[t] + k], D[e3, start + k]
                store(d[0], load(d[0]) + w * load(z[0]))
                store(d[1], load(d[1]) + w * load(z[1]))


@njit(**fast)
def _push(T, C, Z, e1, e2, n_B, D, y):
    """Add ``dB_b/dc . D`` to ``y``."""
    n = len(D)
    for t in range(len(C.degree)):
        start = T.start[C.degree[t]]
        for e3 in range(n):
            S = spread(0.0, Z)
            for k in range(C.start[t + 1] - C.start[t]):
                z, d = Z[C.start[t] + k], D[e3, start + k]
                S += load(z[0]) * load(d[0]) + load(z[1]) * load(d[1])
            for kind in range(3):
                if C.component[t, kind] >= 0:
                    b = component(kind, e1, e2, e3, n, n_B, C.component[t, kind])
                    store(y[b], load(y[b]) + C.factor[t, kind] * S)


@njit(**fast)
def _change(T, x, edges, begin, end, dU, D, lane):
    """Change of ``c`` of an atom, into one lane, when the vectors of its edges move by ``x``."""
    d = np.empty((3, WIDTH), edges.r.dtype)
    for q in range(begin, end):
        for i in range(WIDTH):
            e = edges.e[q, i]
            for k in range(3):
                d[k, i] = x[e, k] if e >= 0 else 0.0
        moved(T, edges, q, load(d[0]), load(d[1]), load(d[2]), dU)
        for k in range(len(dU)):
            for part in range(2):
                D[edges.density[q], k, part, lane] += dU[k, part].sum()
