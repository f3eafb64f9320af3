r"""The potential of all atoms of a structure, seen around each: long-distance equivariants.

    V_i,e(r) = sum_{j of element e, images} V(|r_i + r - r_j|) = sum_k w_k V^(k) e^{i k (r_i + r)} conj(S_e(k))
    v_i,e nlm = int d³r R_nl(r) Y_lm(r) V_i,e(r) = 4 pi sum_k w_k V^(k) I_nl(k) Y_lm(k) Re(i^l e^{i k r_i} conj(S_e(k)))

``S_e(k) = sum_j e^{i k r_j}``. The waves are those of ``reciprocal``: for a slab, wire or cluster the sum over images
along the open directions is not there at all, and no vacuum enters.

In ``d`` periodic directions the potential of a lattice of equal atoms is infinite for ``p <= d``, by a constant. What
is then left out is the mean over the periodic directions (the waves with ``G = 0``) at the height of each atom: in
bulk the term ``k = 0``, as usual and as in featomic, for a slab and ``p = 1`` what leaves ``-2 pi |z|`` per area. Where
potentials of all elements are added with charges whose sum is 0, nothing is lost.

Grisafi and Ceriotti, J. Chem. Phys. 151, 204105 (2019); Huguenin-Dumittan et al., J. Phys. Chem. Lett. 14, 9612 (2023).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..kernels.custom import FORWARD, JVP, fused
from ..memory import require_memory
from ..nn.spherical_harmonics import spherical_harmonics
from .power_law import power_law, power_law_at_rest, power_law_of_waves
from .radial_functions import RadialFunctions, evaluate_series
from .reciprocal import Waves, count_waves, measure, open_extent, waves

_BLOCK = 32_000_000  # bytes of what is held of some of the waves
ACCURACY = 1e-7  # of what the longest waves that are taken are worth, of the largest


@dataclass(frozen=True)
class PotentialProjection:
    """Everything that defines the coefficients; see ``descriptors.lode.LODE`` for what the names mean."""

    n_elements: int
    exponent: int
    smearing: float
    n_max: int
    l_max: int
    radius: float
    basis: str
    k_cutoff: float | None

    @property
    def spec(self) -> str:
        """Itself as text, as operators of torch take it."""
        return json.dumps(asdict(self))

    @staticmethod
    @lru_cache(maxsize=64)
    def of(spec: str) -> PotentialProjection:
        """The inverse of ``spec``."""
        return PotentialProjection(**json.loads(spec))

    @cached_property
    def radial(self) -> RadialFunctions:
        return RadialFunctions(self.n_max, self.l_max, self.radius, self.basis)

    @cached_property
    def longest(self) -> float:
        """The cutoff of the waves, 1/Å: as given, or where all that are longer are not worth ``ACCURACY``."""
        if self.k_cutoff is not None:
            return self.k_cutoff
        k = np.linspace(0.02, 9, 450) / self.smearing
        V = power_law_of_waves(torch.from_numpy(k**2), self.exponent, self.smearing).numpy()
        worth = np.abs(self.radial.of_waves(k) * (k**2 * V)[:, None, None])
        return float(k[np.flatnonzero((worth > ACCURACY * worth.max(0)).any((1, 2)))[-1]])

    @cached_property
    def series(self) -> Float[Tensor, "T l n"]:
        return torch.from_numpy(self.radial.series(self.longest))

    @cached_property
    def of_itself(self) -> Float[np.ndarray, "n"]:
        """``v_n00`` of an atom alone, of its own potential."""
        s, R = self.radial.on_nodes
        return np.sqrt(4 * np.pi) * power_law(s, self.exponent, self.smearing) @ R[0]

    def waves(self, positions: Float[Tensor, "atoms 3"], cell: Float[Tensor, "3 3"], pbc: Bool[Tensor, "3"]) -> Waves:
        """Those of one structure."""
        d = int(pbc.sum())
        grade = 1 if self.exponent <= d else 3 if d == 2 else 2  # what is singular at 0: k^(p-3) or, of odd p, its log
        extent, reach = open_extent(positions, cell[pbc]), 1.5 * self.radius
        return waves(cell, pbc, self.longest, extent, reach, self.l_max, grade)

    def require_memory(
        self, positions: Float[Tensor, "atoms 3"], cell: Float[Tensor, "3 3"], pbc: Bool[Tensor, "3"]
    ) -> None:
        """Raise ``ValueError`` where the waves of one structure do not fit, and say what would."""
        extent = open_extent(positions, cell[pbc])
        n = count_waves(cell, pbc, self.longest, extent, 1.5 * self.radius, self.l_max)
        needed = 8 * (16 * n + 4 * len(positions) * self.n_coefficients)

        def remedy(free: float) -> str:
            f = (needed / free) ** (1 / 3)
            return f"a smearing of {f * self.smearing:.1f} Å or a k_cutoff of {self.longest / f:.2f} 1/Å would fit"

        if needed > 1e8:
            require_memory(needed, f"{n:.0f} waves of a structure of {len(positions)} atoms", remedy)

    @property
    def n_coefficients(self) -> int:
        return self.n_elements * self.n_max * (self.l_max + 1) ** 2

    def __call__(
        self,
        positions: Float[Tensor, "atoms 3"],
        cell: Float[Tensor, "3 3"],
        pbc: Bool[Tensor, "3"],
        species: Int[Tensor, "atoms"],
    ) -> Float[Tensor, "atoms elements lm n"]:
        """``v`` of one structure, in Å^(3/2 - p)."""
        self.require_memory(positions, cell, pbc)
        k, w, level = self.waves(positions, cell, pbc)
        d, shape = int(pbc.sum()), (len(positions), self.n_elements, (self.l_max + 1) ** 2, self.n_max)
        one_hot = torch.nn.functional.one_hot(species, self.n_elements).to(positions)
        step = max(64, _BLOCK // (8 * (4 * len(positions) + 3 * self.n_coefficients)))
        v = positions.new_zeros(len(positions), self.n_coefficients)
        for part in zip(k.split(step), w.split(step)):
            if len(k) > step and torch.is_grad_enabled():
                v = v + checkpoint(self._of_waves, positions, one_hot, *part, use_reentrant=False)
            else:
                v = v + self._of_waves(positions, one_hot, *part)
        constant = 0.0
        if self.exponent > 3 and d == 3:
            constant = power_law_at_rest(self.exponent, self.smearing) / measure(cell)
        elif self.exponent <= d < 3:
            constant = -(w * power_law_of_waves(k.square().sum(1), self.exponent, self.smearing))[level].sum()
        mean = constant * np.sqrt(4 * np.pi) * torch.from_numpy(self.radial.at_rest).to(positions)
        mean = one_hot.sum(0)[:, None] * mean
        rest = torch.cat([mean[:, None], mean.new_zeros(self.n_elements, shape[2] - 1, self.n_max)], 1)
        return v.reshape(shape) + rest

    def _of_waves(
        self, r: Float[Tensor, "atoms 3"], one_hot: Float[Tensor, "atoms elements"], k: Tensor, w: Tensor
    ) -> Float[Tensor, "atoms q"]:
        """What some of the waves add to ``v``."""
        length = torch.linalg.vector_norm(k, dim=1)
        V = power_law_of_waves(length**2, self.exponent, self.smearing)
        l_of = torch.tensor([l for l in range(self.l_max + 1) for _ in range(2 * l + 1)], device=k.device)
        sign = torch.tensor([1.0, -1.0, -1.0, 1.0]).to(k)[l_of % 4]  # of Re(i^l z), which is +-Re(z) or +-Im(z)
        I = evaluate_series(self.series.to(k), length, self.longest).index_select(1, l_of)
        Y = spherical_harmonics(self.l_max, k / length[:, None]) * sign
        P = (4 * np.pi * w * V)[:, None, None] * Y[:, :, None] * I  # [K, lm, n]
        phase = r @ k.T
        c, s = phase.cos(), phase.sin()
        C, S = (x.T @ one_hot for x in (c, s))  # [K, elements]
        even = (l_of % 2 == 0)[None, None]
        with_cos = torch.where(even, C[:, :, None], -S[:, :, None])[..., None] * P[:, None]  # [K, elements, lm, n]
        with_sin = torch.where(even, S[:, :, None], C[:, :, None])[..., None] * P[:, None]
        return c @ with_cos.flatten(1) + s @ with_sin.flatten(1)


def _plain(x: Float[Tensor, "rows 3"], index: Sequence[Tensor], spec: str) -> Float[Tensor, "atoms elements lm n"]:
    """``v`` of all structures from positions, and below them cells; in double precision."""
    system, pbc, species = index
    projection, n, counts = PotentialProjection.of(spec), len(species), torch.bincount(system, minlength=len(pbc))
    positions, cells = x.double()[:n], x.double()[n:].reshape(-1, 3, 3)
    parts = zip(positions.split(counts.tolist()), cells, pbc, species.split(counts.tolist()))
    empty = positions.new_zeros(0, *_shape(x, index, spec)[1:])
    return torch.cat([empty, *(projection(*part) for part in parts if len(part[0]))]).to(x)


def _shape(x: Tensor, index: Sequence[Tensor], spec: str) -> tuple[int, ...]:
    p = PotentialProjection.of(spec)
    return index[2].shape[0], p.n_elements, (p.l_max + 1) ** 2, p.n_max


def _run(mode: int, x: Tensor, v: Tensor | None, index: Sequence[Tensor], spec: str) -> Tensor:
    def work() -> Tensor:
        if mode == FORWARD:
            with torch.no_grad():
                return _plain(x, index, spec)
        if mode == JVP:
            return torch.func.jvp(lambda x: _plain(x, index, spec), (x.detach(),), (v.detach(),))[1]
        leaf = x.detach().requires_grad_()
        return torch.autograd.grad(_plain(leaf, index, spec), leaf, v.detach())[0]

    with ThreadPoolExecutor(1) as thread:  # for in this one, within an operator, autograd does nothing
        return thread.submit(work).result()


_operator = fused("project_potential", _run, _plain, _shape)


def project_potential(
    x: Float[Tensor, "rows 3"], index: Sequence[Tensor], spec: str
) -> Float[Tensor, "atoms elements lm n"]:
    """``v`` of all atoms; for compilers, which cannot know how many waves there are, one operator.

    Args:
        x: positions, and below them the rows of all cells, Å.
        index: structure of each atom, periodic directions of each structure, place of each atom's element.
        spec: that of a ``PotentialProjection``.
    """
    return (_operator if torch.compiler.is_compiling() else _plain)(x, index, spec)
