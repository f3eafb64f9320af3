"""Bispectrum of the density of neighbors on the 3-sphere.

A. P. Bartók, M. C. Payne, R. Kondor and G. Csányi, Phys. Rev. Lett. 104, 136403 (2010); in the form of A. P. Thompson,
L. P. Swiler, C. R. Trott, S. M. Foiles and G. J. Tucker, J. Comput. Phys. 285, 316 (2015); densities by element after
M. A. Cusentino, M. A. Wood and A. P. Thompson, J. Phys. Chem. A 124, 5456 (2020). The definition is in ``nn.sphere``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..config import nearest
from ..descriptor import Descriptor
from ..graph import Graph
from ..kernels import bispectrum as kernel
from ..kernels.custom import fused
from ..nn.sphere import Sphere, definition
from ..nn.wigner import triples
from ..potential import Species

COMPONENTS = ("snap", "gap")

bispectrum = fused("bispectrum", kernel.run, definition, kernel.shape)


class Bispectrum(Descriptor):
    """Invariants of the sums of neighbors ``c^j_i = 1 + sum_k f(r_ik) w_k U^j_ik``, which are matrices.

    They are::

        B_j1j2j = sum c^j*_m'm C^jm_j1m1j2m2 C^jm'_j1m1'j2m2' c^j1_m1'm1 c^j2_m2'm2

    A neighbor at distance ``r`` is a point of the 3-sphere: its direction, and a third angle that grows with distance,
    ``theta = rfac0 pi (r - rmin0) / (r_c - rmin0)``; ``U^j`` are the harmonics there. ``f`` falls as a cosine from 1 at
    ``rmin0`` to 0 at ``r_c``. Two elements have ``r_c = cutoff (R_i + R_k) / (2 R_max)``. All names are those of LAMMPS
    without "flag"; its ``rcutfac`` is ``cutoff / (2 R_max)``.

    Args:
        elements: chemical symbols.
        cutoff: of two atoms of the largest radius, Å.
        twojmax: largest degree, doubled: 6 gives 30 components, 8 gives 55.
        radii: of elements, by symbol, in any unit; by default all are equal.
        weights: ``w`` of elements, by symbol; by default evenly spaced from 1 for the first to 0.5 for the last.
        rfac0: share of the sphere that is used, up to 1, where all directions meet.
        rmin0: where ``theta`` is 0, Å.
        switch: whether ``f`` falls; otherwise it ends at the cutoff, with a jump.
        inner: to fade out neighbors at short distance too (``switchinner``): ``[s, d]`` of elements, by symbol;
            ``f`` rises from 0 to 1 between ``s - d`` and ``s + d``, means of the two elements, Å.
        chem: a density for each element, and components for each three densities (explicit multi-element).
        wselfall: with ``chem``, the atom itself counts in all densities, not in that of its own element alone.
        bnorm: divide components by ``2 j + 1``.
        bzero: subtract what a lone atom has.
        components: "snap": all of ``j2 <= j1 <= j``; "gap": only those of ``j1 = j2`` and whole ``j``, as GAP takes
            them (Bartók et al.; there ``theta = r / r_0``).
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "twojmax": 3}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 5.0,
        twojmax: int = 6,
        radii: dict[str, float] | None = None,
        weights: dict[str, float] | None = None,
        rfac0: float = 0.99363,
        rmin0: float = 0.0,
        switch: bool = True,
        inner: dict[str, list] | None = None,
        chem: bool = False,
        wselfall: bool = False,
        bnorm: bool = False,
        bzero: bool = True,
        components: str = "snap",
    ):
        super().__init__()
        n = len(elements)
        self.elements, self.cutoff, self.twojmax = tuple(elements), float(cutoff), twojmax
        self.components, self.bnorm, self.bzero = components, bnorm, bzero
        self.species = Species(elements)
        self.radii = _of_each("radii", radii, elements, [0.5] * n)
        self.weights = _of_each("weights", weights, elements, [1 - 0.5 * k / max(n - 1, 1) for k in range(n)])
        self.inner = None if inner is None else _of_each("inner", inner, elements, None)
        _check(self.radii, cutoff, twojmax, rfac0, rmin0, self.inner, components)
        R = torch.tensor(self.radii, dtype=torch.float64)
        r_c = cutoff * (R[:, None] + R) / (2 * R.max())
        s = Sphere(n, twojmax, r_c.tolist(), self.weights, rfac0, rmin0, switch, self.inner, chem, wselfall)
        self.sphere, self.spec = s, json.dumps(s._asdict())
        known = triples(twojmax)
        self.triples = known if components == "snap" else gap_triples(twojmax)
        self.n_features = len(self.triples) * s.n_densities**3
        place = torch.tensor([known.index(_sorted(t)) for t in self.triples])
        columns = (torch.arange(s.n_densities**3)[:, None] * len(known) + place).reshape(-1)
        self.register_buffer("columns", columns, persistent=False)  # among all components with j2 <= j1 <= j
        # B^j_j1j2 (2 j1 + 1) = B^j1_jj2 (2 j + 1): those whose j is not the largest follow from those whose j is.
        scale = [(j + 1) / (max(j1, j) + 1) / (j + 1 if bnorm else 1) for j1, _, j in self.triples]
        scale = torch.tensor(scale, dtype=torch.float64).repeat(s.n_densities**3)
        self.scale = scale  # not a buffer: it must not be rounded by a visit to float32; nor what follows
        lone = torch.stack([_of_lone_atom(s, known, e)[columns] for e in range(n)])
        self.zero = lone * scale * bzero

    def forward(self, graph: Graph) -> Float[Tensor, "atoms features"]:
        species = self.species(graph.numbers)
        B = bispectrum(graph.vectors, [graph.i, graph.j, graph.first, species], self.spec)
        if self.components != "snap":
            B = B.index_select(1, self.columns)
        return B * self.scale.to(B) - self.zero.to(B).index_select(0, species)


def gap_triples(twojmax: int) -> list[tuple[int, int, int]]:
    """``(j1, j1, j)``, doubled, with ``2 j1 + j`` even: those that GAP takes."""
    return [(j1, j1, j) for j1 in range(twojmax + 1) for j in range(0, min(twojmax, 2 * j1) + 1, 2)]


def _of_lone_atom(s: Sphere, known: list[tuple[int, int, int]], element: int) -> Float[Tensor, "features"]:
    """``2 j + 1`` where the atom itself counts in all three densities."""
    own = torch.zeros(s.n_densities, dtype=torch.float64)
    own[element if s.chem else 0] = 1
    own = torch.ones_like(own) if s.wselfall else own
    degrees = own.new_tensor([j + 1 for *_, j in known])
    return torch.einsum("u,v,w,b->uvwb", own, own, own, degrees).reshape(-1)


def _sorted(triple: tuple[int, int, int]) -> tuple[int, int, int]:
    j2, j1, j = sorted(triple)
    return j1, j2, j


def _of_each(name: str, given: dict | None, elements: Sequence[str], default: list | None) -> list:
    """Values by symbol as a list in the order of the elements."""
    if given is None:
        return default
    if missing := [e for e in elements if e not in given]:
        raise ValueError(f"{name} must be given for all of {', '.join(elements)}; {missing[0]} is missing")
    if unknown := [e for e in given if e not in elements]:
        raise ValueError(f"{name} names {unknown[0]}, which is not among the elements {', '.join(elements)}")
    return [given[e] for e in elements]


def _check(radii, cutoff, twojmax, rfac0, rmin0, inner, components) -> None:
    if not isinstance(twojmax, int) or not 0 <= twojmax <= 20:
        raise ValueError(f"twojmax is twice the largest degree, an integer from 0 to 20; got {twojmax!r}")
    if cutoff <= 0:
        raise ValueError(f"cutoff must be positive, got {cutoff!r}")
    if min(radii) <= 0:
        raise ValueError(f"radii must be positive, got {min(radii)!r}")
    smallest = cutoff * min(radii) / max(radii)
    if not 0 <= rmin0 < 0.5 * smallest:
        raise ValueError(f"rmin0 must be from 0 to below half the shortest cutoff, {smallest / 2:g} Å; got {rmin0!r}")
    if not 0 < rfac0 <= 1:
        raise ValueError(f"rfac0 is the share of the sphere that is used, above 0 and up to 1; got {rfac0!r}")
    if inner is not None and any(len(x) != 2 or x[1] <= 0 for x in inner):
        raise ValueError(f"inner needs [middle, half width] in Å of each element, the width positive; got {inner!r}")
    if components not in COMPONENTS:
        raise ValueError(f"no components {components!r}{nearest(components, COMPONENTS)}; there are snap and gap")
