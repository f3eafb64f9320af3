"""Atomic cluster expansion in the few channels along which the energy changes: an active subspace.

Constantine, Dow and Wang, SIAM J. Sci. Comput. 36, A1500 (2014); for sums over neighbors, by the variance of the
sums alone: Goscinski, Musil, Pozdnyakov, Nigam and Ceriotti, J. Chem. Phys. 155, 104106 (2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from ase.data import atomic_numbers, covalent_radii
from jaxtyping import Float
from torch import Tensor

from ..config import nearest
from ..graph import Graph
from ..nn.active_subspace import Channels, plain_channels
from ..nn.cluster_expansion import Channel
from ..nn.cluster_selection import n_invariants, select_by_degrees
from ..nn.radial_polynomials import RadialPolynomials, preset
from ..nn.radial_tables import RadialTables
from ..potential import PerAtom, Species
from .cluster_potential import ClusterPotential

OF_FIRST = ("order", "degree", "weight_l", "n_functions", "decay")
_SPACING = 0.01  # of the knots, Å
_FALL = 2.0  # what one factor more takes from the limit of the degree
_LOWEST = 2.0  # degree of the most important channel
_FEW = 100  # functions of each element before the channels are known that limits are for
_NOTHING = 1e-10  # importance, relative to the largest, of what is no channel


class ContractedACE(ClusterPotential):
    r"""``E_i = sum_k c_k B_ik``, where the ``B`` are invariant products of a few sums of sums over neighbors.

    ``A_i,qlm = sum_zn U_q,zn sum_j R_n(r_ij) Y_lm(r_ij) - <A>``, the inner sum over neighbors of element ``z``. The
    channels ``q`` of each degree ``l`` and element of ``i`` are those along which the energy of a plain ``ACE`` changes
    most over the training set: with ``S`` the covariance of its sums and ``C`` that of the derivatives of its energy
    by them, the eigenvectors ``t`` of ``S^1/2 C S^1/2`` give rows ``U = t S^-1/2`` of variance 1, in the order of what
    they do to the energy, ``s = sqrt((2 l + 1) eigenvalue)``. A product is kept, and pays in the prior, by its degree
    ``sum_k (2 - ln s_k / s_max)``. It takes half as many functions, or fewer, as an ``ACE`` of the same error, and
    their number does not grow with the number of elements of the neighbors. Fitted by ``ActiveSubspace``.

    There is a pair potential as in ``ACE`` beside the products of one factor. An atom without neighbors has no energy.

    Args:
        elements: chemical symbols.
        cutoff: Å.
        order: largest number of factors in a product (correlation order), 2 to 6.
        n_functions: number of functions per element of the center, those of lowest degree; each factor beyond the
            second counts 2 more.
        limits: largest degree of products of each order, 2 first, in place of ``n_functions``; for the channels that a
            fit finds, before which there are some hundred functions.
        channels: most channels of each ``l``.
        l_max: largest ``l``.
        n_radial: number of radial functions of each element of the neighbors, of which channels are made.
        pair: number of functions of the pair potential for each element of the neighbors.
        radial: bessel, agnesi, morse, inverse or chebyshev; see ``nn.radial_polynomials``.
        first: ``order``, ``degree``, ``weight_l``, ``n_functions``, ``decay`` of the ``ACE`` from which the channels
            follow; by default one of order 4 at most, with as many functions as the data determine well.
    """

    fitted_by = "ActiveSubspace"
    small = {
        "elements": ["Si", "H", "Cu", "O"],
        "cutoff": 4.0,
        "order": 3,
        "n_functions": 40,
        "channels": 6,
        "l_max": 2,
        "n_radial": 2,
        "pair": 3,
    }

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 5.0,
        order: int = 4,
        n_functions: int | None = 2000,
        limits: list | None = None,
        channels: int = 12,
        l_max: int = 8,
        n_radial: int = 8,
        pair: int = 12,
        radial: str = "bessel",
        first: dict | None = None,
    ):
        super().__init__()
        if not 2 <= order <= 6:
            raise ValueError(f"order must be 2 to 6, got {order}")
        if limits is not None and len(limits) != order - 1:
            raise ValueError(f"limits needs one value for each order from 2 to {order}, got {limits}")
        if limits is None and not (n_functions and n_functions > 0):
            raise ValueError(f"the basis has no end: give n_functions, from 1 upwards, or limits; got {n_functions}")
        if min(channels, n_radial) < 1 or min(l_max, pair) < 0:
            raise ValueError("channels and n_radial must be at least 1, l_max and pair at least 0")
        for name in first or {}:
            if name not in OF_FIRST:
                raise ValueError(f"first takes {', '.join(OF_FIRST)}, not {name!r}{nearest(name, OF_FIRST)}")
        self.order, self.limits, self.n_most = order, limits, None if limits else n_functions
        self.pair, self.n_radial = pair, n_radial
        shared = {"elements": list(elements), "cutoff": cutoff, "pair": pair, "radial": radial}
        within = {"n_max": [n_radial] * 6, "l_max": [l_max] * 6}
        highest = max(10.0 - 0.5 * (len(elements) - 1), 6.0)
        usual = {"order": min(order, 4), "degree": [highest - 1.5 * k for k in range(5)], "weight_l": 0.35}
        self.first: dict[str, Any] = {"ACE": {**usual, **(first or {}), **within, **shared}}
        many = preset(radial, n_radial, float(cutoff))
        two = RadialPolynomials(pair, float(cutoff), many.transform, "repulsive")
        radii = covalent_radii[[atomic_numbers[e] for e in Species(elements).elements]]
        E = len(elements)

        def tabulated(r0: float):
            return lambda r: torch.cat([f(r, torch.full_like(r, r0)) for f in (two, many)], 1)

        functions = [tabulated(a + b) for a in radii for b in radii]
        self.radial = RadialTables(functions, [float(cutoff)] * E**2, np.arange(E**2).reshape(E, E), _SPACING)
        for name, x in plain_channels(E, l_max, channels, n_radial)._asdict().items():
            self.register_buffer(name, x)
        self.register_buffer("products", torch.zeros(0, order, dtype=torch.long))
        self.elements = tuple(elements)
        self._take(self.channels, None)

    @property
    def channels(self) -> Channels:
        """What the sums are combined to."""
        return Channels(*(getattr(self, name).double().cpu() for name in Channels._fields))

    def contract(self, channels: Channels) -> None:
        """Take other channels, and the products that are of lowest degree by them; coefficients begin anew."""
        self._take(channels, self.limits)

    def _take(self, channels: Channels, limits: list | None) -> None:
        for name, x in channels._asdict().items():
            setattr(self, name, x.to(getattr(self, name)))
        degree = {Channel(l, 0, q): d for (l, q), d in np.ndenumerate(self._degrees()) if np.isfinite(d)}
        if limits is not None:
            chosen = select_by_degrees(degree, [limits[0], *limits])
        else:
            chosen = self._lowest(degree, self.n_most or _FEW)
        codes = [[c.l * self.importance.shape[2] + c.n for c in f] for f in chosen]
        padded = [code + [-1] * (self.order - len(code)) for code in codes]
        self.products = torch.tensor(padded, dtype=torch.long, device=self.products.device).reshape(-1, self.order)
        self._build()

    def _degrees(self) -> Float[np.ndarray, "l q"]:
        """``2 - ln s / s_max``, the mean over the elements of the center that have a channel; infinite if none has."""
        s = self.importance.double().cpu().numpy()
        s = s / np.maximum(s.max((1, 2), keepdims=True), np.finfo(float).tiny)
        known = s > _NOTHING  # an element of few atoms has few channels, one of none has none
        d = -np.log(np.where(known, s, 1.0)).sum(0) / np.maximum(known.sum(0), 1)
        d[~known.any(0)] = np.inf
        return _LOWEST + d - d.min()

    def _lowest(self, degree: Mapping[Channel, float], n_functions: int) -> list[tuple[Channel, ...]]:
        """Products enough for so many functions of each element."""
        wanted, limit = n_functions - self.pair * len(self.elements), 2 * _LOWEST
        most = self.order * max(degree.values()) + _FALL * (self.order - 2)
        while True:
            limit += 0.5
            chosen = select_by_degrees(degree, [limit - _FALL * max(k, 0) for k in range(-1, self.order - 1)])
            if limit > most or sum(map(n_invariants, chosen)) >= wanted:
                return chosen

    def _build(self) -> None:
        """The expansion in the channels that occur in the products."""
        E, Q = len(self.elements), self.importance.shape[2]
        n_pair, first = self.pair * E, self.pair
        used = self.products[self.products >= 0].unique().tolist()
        U, _, mean = self.channels
        U = U.flatten(1, 2)[:, used]  # [center, channel, sums of neighbors of any element]
        weights = U.new_zeros(E, E, first + self.n_radial, n_pair + len(used))
        weights[:, :, first:, n_pair:] = U.unflatten(2, (E, -1)).permute(0, 2, 3, 1)
        for e in range(E):
            weights[:, e, :first, e * first : (e + 1) * first] = torch.eye(first)
        radial = self.radial.combined(weights.flatten(0, 1).numpy())
        n_scalar = sum(code < Q for code in used)  # channels of l = 0 come first
        shift = np.zeros((E, radial.n))
        shift[:, n_pair : n_pair + n_scalar] = mean[:, used[:n_scalar]]
        place = {code: n_pair + k for k, code in enumerate(used)}
        functions = [(Channel(0, 0, k),) for k in range(n_pair)]
        for row in self.products.tolist():
            functions.append(tuple(sorted(Channel(code // Q, 0, place[code]) for code in row if code >= 0)))
        self.degree = np.concatenate([np.full(n_pair, _LOWEST), self._degrees().reshape(-1)[used]])
        old = self._parameters.get("c")
        self._begin(self.elements, functions, radial, 1, self.n_most, shared=True, shift=shift)
        if old is not None:
            self.c.data = self.c.data.to(old)
        self._start(self._degree_of_functions())

    def forward(self, graph: Graph) -> PerAtom:
        return PerAtom(self.densities(graph)[:, 0])

    linear = True

    def _degree_of_functions(self) -> Float[Tensor, "K"]:
        d = [float(self.degree[[c.n for c in f]].sum()) for f in self.functions]
        return torch.tensor(d, dtype=self.c.dtype, device=self.c.device).repeat(len(self.elements))

    def penalty(self) -> Float[Tensor, "K"]:
        """``exp(degree)``: a function is expected to add the root of the product of what its channels do."""
        return self._degree_of_functions().exp()

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        """There are as many functions, of such channels, as were saved."""
        for name in (*Channels._fields, "products"):
            if (saved := state_dict.get(prefix + name)) is not None:
                self._buffers[name] = saved.to(self._buffers[name])
        self._build()
        super()._load_from_state_dict(state_dict, prefix, *rest)
