"""Which products of channels make a basis of the atomic cluster expansion.

By total degree: Dusson et al., J. Comput. Phys. 454, 110946 (2022); by tables of ``n_max`` and ``l_max`` per order:
Lysogorskiy et al., npj Comput. Mater. 7, 97 (2021).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .cluster_expansion import Channel
from .couplings import symmetric_invariants

DEGREES = (14.0, 12.0, 11.0, 10.0, 10.0)  # of orders 2 to 6, for one element


def select(
    n_elements: int,
    order: int,
    degree: float | list | None,
    weight_l: float,
    n_max: list | None,
    l_max: list | None,
    pair: int,
) -> list[tuple[Channel, ...]]:
    """Products of channels within the limits, by rising total degree; arguments as those of ``ACE``."""
    if degree is None:
        degree = [float("inf")] * 5 if n_max else [max(d - n_elements + 1, 6.0) for d in DEGREES]
    degrees = [degree] * 5 if isinstance(degree, int | float) else list(degree)
    for name, given, wanted in (("degree", degrees, order - 1), ("n_max", n_max, order), ("l_max", l_max, order)):
        if given is not None and len(given) < wanted:
            raise ValueError(f"{name} needs {wanted} values for order = {order}, got {len(given)}")
    found = [(float(n), (Channel(0, e, n),)) for e in range(n_elements) for n in range(pair)]
    for nu in range(2 if pair else 1, order + 1):
        limit = degrees[nu - 2] if nu > 1 else max(degrees)
        room = limit - (nu - 1)  # what the others leave to one
        n_end = min(room, n_max[nu - 1]) if n_max else room
        l_end = min((room - 1) / weight_l, l_max[nu - 1]) if l_max else (room - 1) / weight_l
        if n_end == float("inf") or l_end == float("inf"):
            raise ValueError("the basis has no end: give degree, or both n_max and l_max")
        channels = [
            (n + 1 + weight_l * l, Channel(l, e, pair + n))
            for e in range(n_elements)
            for n in range(int(n_end))
            for l in range(int(l_end) + 1)
            if n + 1 + weight_l * l <= room
        ]
        found += [(d, f) for d, f in _multisets(sorted(channels), nu, limit) if _couples(f)]
    found.sort(key=lambda x: (x[0], len(x[1]), x[1]))
    return [f for _, f in found]


def select_by_degrees(degrees: Mapping[Channel, float], limits: Sequence[float]) -> list[tuple[Channel, ...]]:
    """Products of channels of given degrees up to a limit for each order from 1 on, by rising distance below it."""
    channels = sorted((d, c) for c, d in degrees.items())
    found = []
    for nu, limit in enumerate(limits, start=1):
        found += [(d - limit, f) for d, f in _multisets(channels, nu, limit) if _couples(f)]
    found.sort(key=lambda x: (x[0], len(x[1]), x[1]))
    return [f for _, f in found]


def n_invariants(function: tuple[Channel, ...]) -> int:
    """How many invariants a product of channels gives."""
    names = sorted(set(function))
    return len(symmetric_invariants(tuple(c.l for c in function), tuple(names.index(c) for c in function))[1])


def _multisets(channels: list, size: int, limit: float, start: int = 0) -> Iterator[tuple[float, tuple]]:
    """Unordered choices of ``size`` channels, sorted by degree, with a total degree up to ``limit``."""
    if size == 0:
        yield 0.0, ()
        return
    for k in range(start, len(channels)):
        d, c = channels[k]
        if size * d > limit + 1e-9:
            return
        for total, rest in _multisets(channels, size - 1, limit - d, k):
            yield d + total, tuple(sorted((c, *rest)))


def _couples(function: tuple[Channel, ...]) -> bool:
    """Whether the degrees of the factors can make an invariant that does not change sign under inversion."""
    ls = [c.l for c in function]
    return sum(ls) % 2 == 0 and 2 * max(ls) <= sum(ls)
