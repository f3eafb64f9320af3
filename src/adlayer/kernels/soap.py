"""The power spectrum of neighbor densities fused: forward, VJP and JVP; its meaning is ``nn.power_spectrum``.

Radial functions are tabulated: polynomials of degree 7 on intervals of a twelfth of the Gaussian width, which is exact
to rounding for any basis. The edges of an atom are taken ``WIDTH`` at a time, all to neighbors of one element.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import njit, prange
from torch import Tensor

from ..nn.power_spectrum import PowerSpectrum
from ..nn.spherical_harmonics import harmonic_norms
from .custom import FORWARD, VJP, fused
from .one_particle import _harmonics, fast
from .simd import WIDTH, load, spread, store, total

_BLOCK = 16  # atoms that share one scratch
_DEGREE = 7


class Tables(NamedTuple):
    """A power spectrum, in arrays."""

    radial: np.ndarray  # [elements or 1, interval, power, l n]: polynomials in -1 .. 1
    step: np.ndarray  # [1] intervals per Å
    weight: np.ndarray  # [5] cutoff, transition (-1: quadratic), and exponent, length, rate of the decay
    norms: np.ndarray  # [l, m]
    mixing: np.ndarray  # [channels, elements]
    pairs: np.ndarray  # [P, 2]
    factor: np.ndarray  # [P, l]
    center: np.ndarray  # [elements, n]


class Scratch(NamedTuple):
    """What the edges of one atom give, ``WIDTH`` of them in each chunk."""

    e: np.ndarray  # [chunk, WIDTH] their places in the graph, -1 where there is none
    neighbor: np.ndarray  # [chunk] element of the neighbors
    r: np.ndarray  # [chunk, WIDTH]
    u: np.ndarray  # [chunk, 3, WIDTH] directions
    R: np.ndarray  # [chunk, l n, WIDTH]
    dR: np.ndarray  # [chunk, l n, WIDTH]
    Y: np.ndarray  # [chunk, lm, WIDTH]
    G: np.ndarray  # [chunk, 3, lm, WIDTH] gradients of Y
    row: np.ndarray  # [2, l n]
    A: np.ndarray  # [elements, n, lm] densities
    c: np.ndarray  # [channels n, lm] densities
    gA: np.ndarray  # the same of adjoints, or of changes
    gc: np.ndarray


@lru_cache(maxsize=64)
def tables(spec: str, dtype: type) -> Tables:
    """What the kernels need to know, made once."""
    S = PowerSpectrum.of(spec)
    n = int(np.ceil(12 * S.cutoff / min(p.width for p in S.projections)))
    pairs, factor = S.products
    return Tables(
        np.stack([polynomials(lambda r, p=p: p(r).flatten(2), S.cutoff, n) for p in S.projections]).astype(dtype),
        np.array([n / S.cutoff]),
        np.array([S.cutoff, -1.0 if S.quadratic else S.transition, *(S.decay or (0.0, 0.0, 0.0))]),
        harmonic_norms(S.l_max).astype(dtype),
        S.mixing.astype(dtype),
        pairs,
        (factor[:, None] * S.of_l).astype(dtype),
        S.center.astype(dtype),
    )


def polynomials(
    functions: Callable[[Tensor], Tensor], cutoff: float, n: int
) -> Float[np.ndarray, "intervals powers functions"]:
    """Functions of the distance on ``n`` equal intervals up to the cutoff, as polynomials in -1 .. 1."""
    t = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
    r = (np.arange(n)[:, None] + 0.5 * (t + 1)) * cutoff / n
    g = functions(torch.from_numpy(r)).numpy()
    return np.ascontiguousarray(np.einsum("pk,ikf->ipf", np.linalg.inv(np.vander(t, increasing=True)), g))


def shape(vectors: Tensor, index: Sequence[Tensor], spec: str) -> tuple[int, int]:
    """Of the features."""
    return index[2].shape[0] - 1, PowerSpectrum.of(spec).n_features


def run(mode: int, vectors: Tensor, x: Tensor | None, index: Sequence[Tensor], spec: str) -> Tensor:
    """One of the three passes; ``x`` is the cotangent or the tangent."""
    _, j, first, species = (t.numpy() for t in index)
    v = vectors.detach().contiguous().numpy()
    x = np.zeros((0, 0), v.dtype) if x is None else x.detach().contiguous().numpy()
    y = np.zeros(v.shape if mode == VJP else shape(vectors, index, spec), v.dtype)
    _run(mode, v, j, first, species, tables(spec, v.dtype.type), x, y)
    return torch.from_numpy(y)


def jacobian(vectors: Tensor, index: Sequence[Tensor], spec: str) -> Tensor:
    """Derivatives of the features of atom ``i`` by the vectors of its edges, ``[edges, 3, features]``."""
    _, j, first, species = (t.numpy() for t in index)
    v = vectors.detach().contiguous().numpy()
    J = np.zeros((*v.shape, PowerSpectrum.of(spec).n_features), v.dtype)
    _jacobian(v, j, first, species, tables(spec, v.dtype.type), J)
    return torch.from_numpy(J)


@njit(parallel=True, **fast)
def _run(mode, vectors, j, first, species, T, x, y):
    n_atoms = len(first) - 1
    for block in prange((n_atoms + _BLOCK - 1) // _BLOCK):
        begin, end = block * _BLOCK, min((block + 1) * _BLOCK, n_atoms)
        most = 0
        for a in range(begin, end):
            most = max(most, first[a + 1] - first[a])
        s = room(most // WIDTH + T.mixing.shape[1], T, vectors)
        for a in range(begin, end):
            n_chunks = gather(a, species[a], T, first, j, species, vectors, s)
            _mix(T.mixing, s.A, s.c)
            if mode == FORWARD:
                _products(T, s.c, y[a])
            elif mode == VJP:
                _products_back(T, s.c, x[a], s.gc)
                _mix_back(T.mixing, s.gc, s.gA)
                scatter(s, n_chunks, y)
            else:
                push(s, n_chunks, x)
                _mix(T.mixing, s.gA, s.gc)
                _products_along(T, s.c, s.gc, y[a])


@njit(**fast)
def room(n_chunks, T, like):
    """Room for so many chunks."""
    L, f, n = T.norms.shape[0], T.radial.shape[3], T.center.shape[1]
    Q, E = T.mixing.shape
    kind, lm = like.dtype, L * L
    return Scratch(
        np.empty((n_chunks, WIDTH), np.int64),
        np.empty(n_chunks, np.int64),
        np.empty((n_chunks, WIDTH), kind),
        np.empty((n_chunks, 3, WIDTH), kind),
        np.empty((n_chunks, f, WIDTH), kind),
        np.empty((n_chunks, f, WIDTH), kind),
        np.empty((n_chunks, lm, WIDTH), kind),
        np.empty((n_chunks, 3, lm, WIDTH), kind),
        np.empty((2, f), kind),
        np.empty((E, n, lm), kind),
        np.empty((Q * n, lm), kind),
        np.empty((E, n, lm), kind),
        np.empty((Q * n, lm), kind),
    )


@njit(**fast)
def gather(atom, center, T, first, j, species, vectors, s):
    """Densities of an atom into ``A``; what its edges give goes to the scratch. Returns the number of chunks."""
    cutoff, n_max, L = T.weight[0], T.center.shape[1], T.norms.shape[0]
    here = 0
    for neighbor in range(T.mixing.shape[1]):
        n, begin = 0, here
        for e in range(first[atom], first[atom + 1]):
            if species[j[e]] != neighbor:
                continue
            x, y, z = vectors[e, 0], vectors[e, 1], vectors[e, 2]
            r2 = x * x + y * y + z * z
            if r2 >= cutoff * cutoff:
                continue
            if n == WIDTH:
                here, n = here + 1, 0
            r = np.sqrt(r2)
            s.e[here, n], s.r[here, n] = e, r
            s.u[here, 0, n], s.u[here, 1, n], s.u[here, 2, n] = x / r, y / r, z / r
            n += 1
        A = s.A[neighbor]
        if n == 0:
            A[:] = 0
        else:
            for i in range(n, WIDTH):
                s.e[here, i], s.r[here, i] = -1, 1
                s.u[here, 0, i], s.u[here, 1, i], s.u[here, 2, i] = 0, 0, 1
            here += 1
            for q in range(begin, here):
                s.neighbor[q] = neighbor
                _radial(T, min(neighbor, len(T.radial) - 1), s.r[q], s.e[q], s.row, s.R[q], s.dR[q])
                _harmonics(T.norms, s.r[q], s.u[q], s.Y[q], s.G[q])
            for l in range(L):
                for n in range(n_max):
                    f = l * n_max + n
                    for lm in range(l * l, (l + 1) * (l + 1)):
                        sum_ = spread(0.0, s.r)
                        for q in range(begin, here):
                            sum_ += load(s.R[q, f]) * load(s.Y[q, lm])
                        A[n, lm] = total(sum_)
        if neighbor == center:
            for n in range(n_max):
                A[n, 0] += T.center[center, n]
    return here


@njit(**fast)
def _radial(T, element, r, e, row, R, dR):
    """``f g_nl`` and its derivative for the edges of a chunk."""
    n_functions, radial = T.radial.shape[3], T.radial[element]
    for i in range(WIDTH):
        if e[i] < 0:
            for f in range(n_functions):
                R[f, i] = dR[f, i] = 0
            continue
        w, dw = _weight(T.weight, r[i])
        x = r[i] * T.step[0]
        k = min(int(x), len(radial) - 1)
        t, table, value, slope = 2 * (x - k) - 1, radial[k], row[0], row[1]
        for f in range(n_functions):
            value[f], slope[f] = table[_DEGREE, f], 0
        for p in range(_DEGREE - 1, -1, -1):
            for f in range(n_functions):
                slope[f] = slope[f] * t + value[f]
                value[f] = value[f] * t + table[p, f]
        dt = 2 * T.step[0]
        for f in range(n_functions):
            R[f, i], dR[f, i] = w * value[f], dw * value[f] + w * dt * slope[f]


@njit(**fast)
def _weight(weight, r):
    """``f(r)`` and its derivative."""
    cutoff, width, m, length, rate = weight
    f, df = 1.0, 0.0
    if width < 0:
        f, df = (cutoff - r) ** 2, -2 * (cutoff - r)
    x = (r - cutoff + width) / width if width > 0 else 0.0
    if x > 0:
        f, df = 0.5 * (np.cos(np.pi * x) + 1), -0.5 * np.pi / width * np.sin(np.pi * x)
    if length > 0:
        power = (r / length) ** m
        d = (rate if rate > 0 else 1.0) / (rate + power)
        df = df * d - f * d * m * power / (r * (rate + power))
        f *= d
    return f, df


@njit(**fast)
def _mix(W, A, c):
    """From elements to channels."""
    n_max = A.shape[1]
    c[:] = 0
    for q in range(W.shape[0]):
        for k in range(W.shape[1]):
            if W[q, k] != 0:
                for n in range(n_max):
                    for lm in range(A.shape[2]):
                        c[q * n_max + n, lm] += W[q, k] * A[k, n, lm]


@njit(**fast)
def _mix_back(W, gc, gA):
    n_max = gA.shape[1]
    gA[:] = 0
    for q in range(W.shape[0]):
        for k in range(W.shape[1]):
            if W[q, k] != 0:
                for n in range(n_max):
                    for lm in range(gA.shape[2]):
                        gA[k, n, lm] += W[q, k] * gc[q * n_max + n, lm]


@njit(**fast)
def _products(T, c, p):
    L = T.norms.shape[0]
    for k in range(len(T.pairs)):
        a, b = c[T.pairs[k, 0]], c[T.pairs[k, 1]]
        for l in range(L):
            s = a[l * l] * b[l * l]
            for lm in range(l * l + 1, (l + 1) * (l + 1)):
                s += a[lm] * b[lm]
            p[k * L + l] = T.factor[k, l] * s


@njit(**fast)
def _products_back(T, c, g, gc):
    L = T.norms.shape[0]
    gc[:] = 0
    for k in range(len(T.pairs)):
        a, b, ga, gb = c[T.pairs[k, 0]], c[T.pairs[k, 1]], gc[T.pairs[k, 0]], gc[T.pairs[k, 1]]
        for l in range(L):
            x = T.factor[k, l] * g[k * L + l]
            for lm in range(l * l, (l + 1) * (l + 1)):
                ga[lm] += x * b[lm]
                gb[lm] += x * a[lm]


@njit(**fast)
def _products_along(T, c, dc, dp):
    L = T.norms.shape[0]
    for k in range(len(T.pairs)):
        a, b, da, db = c[T.pairs[k, 0]], c[T.pairs[k, 1]], dc[T.pairs[k, 0]], dc[T.pairs[k, 1]]
        for l in range(L):
            s = a[l * l] * db[l * l] + da[l * l] * b[l * l]
            for lm in range(l * l + 1, (l + 1) * (l + 1)):
                s += a[lm] * db[lm] + da[lm] * b[lm]
            dp[k * L + l] = T.factor[k, l] * s


@njit(**fast)
def scatter(s, n_chunks, gradient):
    """``dE/dvector`` of an atom's edges from the adjoint ``gA`` of its densities."""
    n_max, L = s.gA.shape[1], int(np.sqrt(s.gA.shape[2]))
    g = np.empty((3, WIDTH), s.r.dtype)
    for q in range(n_chunks):
        R, dR, Y, G, u, adjoint = s.R[q], s.dR[q], s.Y[q], s.G[q], s.u[q], s.gA[s.neighbor[q]]
        along, gx, gy, gz = spread(0.0, s.r), spread(0.0, s.r), spread(0.0, s.r), spread(0.0, s.r)
        for l in range(L):
            for lm in range(l * l, (l + 1) * (l + 1)):
                S, Q = spread(0.0, s.r), spread(0.0, s.r)
                for n in range(n_max):
                    a = adjoint[n, lm]
                    S += load(dR[l * n_max + n]) * a
                    Q += load(R[l * n_max + n]) * a
                along += S * load(Y[lm])
                gx += Q * load(G[0, lm])
                gy += Q * load(G[1, lm])
                gz += Q * load(G[2, lm])
        store(g[0], gx + along * load(u[0]))
        store(g[1], gy + along * load(u[1]))
        store(g[2], gz + along * load(u[2]))
        for i in range(WIDTH):
            e = s.e[q, i]
            if e >= 0:
                gradient[e, 0], gradient[e, 1], gradient[e, 2] = g[0, i], g[1, i], g[2, i]


@njit(**fast)
def push(s, n_chunks, direction):
    """How an atom's densities change when the vectors of its edges move by ``direction``, into ``gA``."""
    n_max, L = s.gA.shape[1], int(np.sqrt(s.gA.shape[2]))
    d = np.empty((3, WIDTH), s.r.dtype)
    s.gA[:] = 0
    for q in range(n_chunks):
        R, dR, Y, G, u, dA = s.R[q], s.dR[q], s.Y[q], s.G[q], s.u[q], s.gA[s.neighbor[q]]
        for i in range(WIDTH):
            e = s.e[q, i]
            for k in range(3):
                d[k, i] = direction[e, k] if e >= 0 else 0.0
        x, y, z = load(d[0]), load(d[1]), load(d[2])
        along = x * load(u[0]) + y * load(u[1]) + z * load(u[2])
        for l in range(L):
            for lm in range(l * l, (l + 1) * (l + 1)):
                Y_along, dY = load(Y[lm]) * along, x * load(G[0, lm]) + y * load(G[1, lm]) + z * load(G[2, lm])
                for n in range(n_max):
                    f = l * n_max + n
                    dA[n, lm] += total(load(dR[f]) * Y_along + load(R[f]) * dY)


@njit(parallel=True, **fast)
def _jacobian(vectors, j, first, species, T, J):
    n_atoms = len(first) - 1
    for block in prange((n_atoms + _BLOCK - 1) // _BLOCK):
        begin, end = block * _BLOCK, min((block + 1) * _BLOCK, n_atoms)
        most = 0
        for a in range(begin, end):
            most = max(most, first[a + 1] - first[a])
        if most == 0:
            continue
        s = room(most // WIDTH + T.mixing.shape[1], T, vectors)
        for a in range(begin, end):
            if first[a + 1] > first[a]:
                n_chunks = gather(a, species[a], T, first, j, species, vectors, s)
                _mix(T.mixing, s.A, s.c)
                for q in range(n_chunks):
                    for d in range(3):
                        _slopes(T, s, q, d, J)


@njit(**fast)
def _slopes(T, s, q, d, J):
    """Derivatives by one component of the vectors of one chunk: of densities, then of their products."""
    n_max, L = T.center.shape[1], T.norms.shape[0]
    R, dR, Y, G, u, neighbor = s.R[q], s.dR[q], s.Y[q], s.G[q, d], load(s.u[q, d]), s.neighbor[q]
    dA, row = np.empty((n_max, L * L, WIDTH), s.r.dtype), np.empty(WIDTH, s.r.dtype)
    for l in range(L):
        for n in range(n_max):
            f = l * n_max + n
            radial, along = load(R[f]), load(dR[f]) * u
            for lm in range(l * l, (l + 1) * (l + 1)):
                store(dA[n, lm], along * load(Y[lm]) + radial * load(G[lm]))
    for k in range(len(T.pairs)):
        a, b = T.pairs[k, 0], T.pairs[k, 1]
        wa, wb = T.mixing[a // n_max, neighbor], T.mixing[b // n_max, neighbor]
        if wa == 0 and wb == 0:
            continue
        ca, cb, da, db = s.c[a], s.c[b], dA[a % n_max], dA[b % n_max]
        for l in range(L):
            total_ = spread(0.0, s.r)
            for lm in range(l * l, (l + 1) * (l + 1)):
                total_ += load(da[lm]) * (wa * cb[lm]) + load(db[lm]) * (wb * ca[lm])
            store(row, total_ * T.factor[k, l])
            for i in range(WIDTH):
                if s.e[q, i] >= 0:
                    J[s.e[q, i], d, k * L + l] = row[i]


def definition(
    vectors: Float[Tensor, "edges 3"], index: Sequence[Int[Tensor, "_"]], spec: str
) -> Float[Tensor, "atoms features"]:
    """The power spectrum, as ``nn.power_spectrum`` says it."""
    i, j, _, species = index
    return PowerSpectrum.of(spec)(vectors, i, j, species)


power_spectrum = fused("soap", run, definition, shape)
