"""Atom-centered symmetry functions: what each is, and grids of them that cover an environment evenly.

Each is a sum over neighbors of a radial part, or over pairs of neighbors of radial parts times an angular part:

    G_i = sum_j     w_j     R(r_ij)
    G_i = sum_{j<k} w_j w_k R(r_ij) R(r_ik) [R(r_jk)] A(θ_jik)

Every pair of neighbors counts once (Behler, J. Chem. Phys. 134, 074106 (2011) sums ordered pairs: twice this). The
factor ``R(r_jk)`` is there for narrow functions. ``w`` is 1 and the neighbors are of the given elements, or it is the
atomic number and all neighbors count: the weighted functions (wACSF) of Gastegger et al., J. Chem. Phys. 148, 241709
(2018). Gaussian: ``R = exp(-eta (r - r_s)²) f_c(r)``, ``A = 2^(1-zeta) (1 + lambda cos θ)^zeta``. Compact: ``R`` and
``A`` are bumps that vanish outside an interval (Bircher, Singraber and Dellago, Mach. Learn.: Sci. Technol. 2, 035026
(2021)).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product

import torch
from jaxtyping import Float
from torch import Tensor, pi

from ..config import Part, check_arguments, nearest

SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "cos": lambda x: 0.5 * (torch.cos(pi * x) + 1),
    "exp": lambda x: torch.exp(1 - 1 / (1 - x * x)),
    "poly1": lambda x: (2 * x - 3) * x**2 + 1,
    "poly2": lambda x: ((15 - 6 * x) * x - 10) * x**3 + 1,
    "poly3": lambda x: (x * (x * (20 * x - 70) + 84) - 35) * x**4 + 1,
    "poly4": lambda x: (x * (x * ((315 - 70 * x) * x - 540) + 420) - 126) * x**5 + 1,
}
"""Ways from 1 at ``x = 0`` to 0 at ``x = 1``; ``polyN`` with N vanishing derivatives at both ends."""

CUTOFF_FUNCTIONS = ("hard", "cos", "tanhu", "tanh", "exp", "poly1", "poly2", "poly3", "poly4")


@dataclass(frozen=True)
class RadialGaussian(Part):
    """``sum_j w_j exp(-eta (r_ij - shift)²) f_c(r_ij)``: types 2 and (weighted) 12 of n2p2.

    Args:
        center: element of the central atom.
        neighbor: element of the neighbors; if not given, all of them, weighted by atomic number.
        eta: 1/Å².
        shift: Å.
        cutoff: Å.
    """

    center: str
    neighbor: str | None = None
    eta: float = 0.0
    shift: float = 0.0
    cutoff: float = 6.0


@dataclass(frozen=True)
class AngularGaussian(Part):
    """``sum_{j<k} w_j w_k R(r_ij) R(r_ik) [R(r_jk)] 2^(1-zeta) (1 + sign cos θ)^zeta``: types 3, 9, 13 of n2p2.

    Args:
        center: element of the central atom.
        neighbors: elements of the two neighbors; if not given, all of them, weighted by atomic numbers.
        eta: 1/Å².
        zeta: sharpness in angle.
        sign: the paper's lambda, 1 or -1.
        shift: Å.
        cutoff: Å.
        narrow: whether the neighbors' distance from each other counts too.
    """

    center: str
    neighbors: tuple[str, str] | None = None
    eta: float = 0.0
    zeta: float = 1.0
    sign: float = 1.0
    shift: float = 0.0
    cutoff: float = 6.0
    narrow: bool = True

    def __post_init__(self):
        _sort_neighbors(self)


@dataclass(frozen=True)
class RadialCompact(Part):
    """``sum_j w_j C(r_ij)``, a bump between two radii: types 20 and (weighted) 23 of n2p2.

    Args:
        center: element of the central atom.
        neighbor: element of the neighbors; if not given, all of them, weighted by atomic number.
        inner: where the bump begins, Å; negative for half a bump around 0.
        cutoff: where it ends, Å.
        shape: one of ``SHAPES``, on either side of the middle.
        asymmetric: make the shape fall faster, ``x -> (2 - x) x``.
    """

    center: str
    neighbor: str | None = None
    inner: float = 0.0
    cutoff: float = 6.0
    shape: str = "poly2"
    asymmetric: bool = False


@dataclass(frozen=True)
class AngularCompact(Part):
    """``sum_{j<k} w_j w_k C(r_ij) C(r_ik) [C(r_jk)] C(θ)``: types 21, 22 (wide), 24 and 25 (weighted) of n2p2.

    Args:
        center: element of the central atom.
        neighbors: elements of the two neighbors; if not given, all of them, weighted by atomic numbers.
        inner: where the radial bump begins, Å.
        cutoff: where it ends, Å.
        left: where the angular bump begins, degrees.
        right: where it ends, degrees.
        shape: one of ``SHAPES``.
        asymmetric: as for ``RadialCompact``; of the radial bumps only.
        narrow: whether the neighbors' distance from each other counts too.
    """

    center: str
    neighbors: tuple[str, str] | None = None
    inner: float = 0.0
    cutoff: float = 6.0
    left: float = 0.0
    right: float = 180.0
    shape: str = "poly2"
    asymmetric: bool = False
    narrow: bool = True

    def __post_init__(self):
        _sort_neighbors(self)


SymmetryFunction = RadialGaussian | AngularGaussian | RadialCompact | AngularCompact
FORMS = {cls.__name__: cls for cls in (RadialGaussian, AngularGaussian, RadialCompact, AngularCompact)}


def symmetry_function(spec: SymmetryFunction | Mapping) -> SymmetryFunction:
    """A symmetry function as such, or from ``{ClassName: {arguments}}``."""
    if not isinstance(spec, Mapping):
        return spec
    (name, arguments), *more = spec.items()
    if more or name not in FORMS:
        raise ValueError(f"no symmetry function {name!r}{nearest(name, FORMS)}; there are {', '.join(FORMS)}")
    check_arguments(FORMS[name], arguments)
    return FORMS[name](**arguments)


def _sort_neighbors(function: AngularGaussian | AngularCompact) -> None:
    if function.neighbors is not None:
        object.__setattr__(function, "neighbors", tuple(function.neighbors))


def cutoff_function(r: Float[Tensor, "n"], cutoff: Float[Tensor, "F"], kind: str, inner: float) -> Float[Tensor, "n F"]:
    """One of ``CUTOFF_FUNCTIONS``: 1 up to ``inner * cutoff`` (but for the two tanh), 0 from ``cutoff`` on."""
    inside = r[:, None] < cutoff
    if kind in ("tanh", "tanhu"):
        f = torch.tanh(1 - r[:, None] / cutoff) ** 3
        f = f / torch.tanh(f.new_tensor(1.0)) ** 3 if kind == "tanh" else f
    elif kind == "hard":
        f = torch.ones_like(r)[:, None]
    else:
        x = (r[:, None] - inner * cutoff) / (cutoff - inner * cutoff)
        f = SHAPES[kind](torch.where(inside, x, 0.5).clamp_min(0))
    return torch.where(inside, f, 0.0)


def bump(
    x: Float[Tensor, "n"], left: Float[Tensor, "F"], right: Float[Tensor, "F"], shape: str, asymmetric: bool
) -> Float[Tensor, "n F"]:
    """1 in the middle between ``left`` and ``right``, 0 outside."""
    x = x[:, None]
    inside = (x > left) & (x < right)
    u = ((2 * x - left - right) / (right - left)).abs()
    u = torch.where(inside, u, 0.5)
    return torch.where(inside, SHAPES[shape]((2 - u) * u if asymmetric else u), 0.0)


def radial_grid(n: int, cutoff: float, style: str, shifted: bool) -> list[tuple[float, float]]:
    """``n`` pairs of ``eta`` (1/Å²) and ``shift`` (Å).

    ``"imbalzano"``: as Imbalzano et al., J. Chem. Phys. 148, 241730 (2018); centers or widths in geometric progression.
    ``"gastegger"``: as Gastegger et al. (2018); centers evenly spaced from 0.5 Å to 0.5 Å within the cutoff, widths by
    the spacing, or Gaussians at the atom that reach to these points.
    """
    if style == "imbalzano":
        if not shifted:
            return [((n ** (m / n) / cutoff) ** 2, 0.0) for m in range(n)] if n > 1 else [(0.0, 0.0)]
        r = [cutoff / n ** (m / n) for m in range(n + 1)]
        return [(1 / (r[m] - r[m + 1]) ** 2, r[m + 1]) for m in range(n)] if n > 1 else [(0.0, 0.0)]
    if style == "gastegger":
        r = [0.5 + m * (cutoff - 1.0) / max(n - 1, 1) for m in range(n)]
        return [(0.5 / (r[1] - r[0]) ** 2, x) for x in r] if shifted and n > 1 else [(0.5 / x**2, 0.0) for x in r]
    raise ValueError(
        f"no grid {style!r}{nearest(style, ('imbalzano', 'gastegger', 'pool'))}; there are imbalzano, gastegger, pool"
    )


def default_functions(
    elements: Sequence[str],
    cutoff: float,
    n_radial: int,
    n_angular: int,
    zetas: Sequence[float],
    style: str,
    weighted: bool,
) -> list[SymmetryFunction]:
    """Shifted radial functions and narrow angular ones of both signs, for every element (or pair) of neighbors.

    ``"pool"``: as ``"imbalzano"``, with radial functions at the atom as well.
    """
    pool, style = style == "pool", "imbalzano" if style == "pool" else style
    singles = [None] if weighted else elements
    pairs = [None] if weighted else list(combinations_with_replacement(elements, 2))
    radial, angular = (radial_grid(n, cutoff, style, s) for n, s in ((n_radial, True), (n_angular, False)))
    radial = [*radial, *radial_grid(n_radial, cutoff, style, False)] if pool else radial
    functions: list[SymmetryFunction] = []
    for center in elements:
        functions += [RadialGaussian(center, b, eta, shift, cutoff) for b, (eta, shift) in product(singles, radial)]
        functions += [
            AngularGaussian(center, pair, eta, zeta, sign, shift, cutoff)
            for pair, (eta, shift), zeta, sign in product(pairs, angular, zetas, (1.0, -1.0))
        ]
    return functions
