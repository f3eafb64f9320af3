"""Parameters that belong to elements, to pairs and to triples of elements: from named values to tensors.

Keys are written ``"Ar"``, ``"Ar-Kr"`` and ``"Si-C-Si"``, so that they can stand in a recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jaxtyping import Float
from torch import Tensor, float64, full, tensor

Values = float | Mapping[str, float]


def elements_of(*values: Values) -> tuple[str, ...] | None:
    """The elements that the keys name, in order of appearance; None for plain numbers, which hold for any element."""
    keys = [key for v in values if isinstance(v, Mapping) for key in v]
    return tuple(dict.fromkeys(element for key in keys for element in key.split("-"))) or None


def pair_table(
    name: str, values: Values, elements: tuple[str, ...] | None, mix: Callable[[float, float], float] | None = None
) -> Float[Tensor, "elements elements"]:
    """One value for each pair of elements, symmetric.

    Args:
        name: what the values are, for messages.
        values: one number for all, or numbers by element (``"Ar"`` is ``"Ar-Ar"``) and by pair.
        elements: those of the table; None makes a table of one entry.
        mix: gives a pair that is not named from its two elements; without it every pair must be named.
    """
    if not isinstance(values, Mapping):
        n = len(elements or ("any",))
        return full((n, n), float(values), dtype=float64)
    named = {(key if "-" in key else f"{key}-{key}"): float(v) for key, v in values.items()}

    def value(a: str, b: str) -> float:
        for key in (f"{a}-{b}", f"{b}-{a}"):
            if key in named:
                return named[key]
        if mix and f"{a}-{a}" in named and f"{b}-{b}" in named:
            return mix(named[f"{a}-{a}"], named[f"{b}-{b}"])
        wanted = a if a == b else f"{a}-{b}"
        raise ValueError(f"{name} has no value for {wanted}; it has {', '.join(values)}")

    return tensor([[value(a, b) for b in elements] for a in elements], dtype=float64)


def triple_tables(
    parameters: Mapping[str, Mapping[str, float]], names: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, Float[Tensor, "elements elements elements"]]]:
    """The elements and one table per parameter, of ``{"Si-C-C": {"A": 1.0, ...}, ...}`` (center, bond, third atom)."""
    elements = elements_of(parameters) or ()
    keys = ["-".join((a, b, c)) for a in elements for b in elements for c in elements]
    if missing := [key for key in keys if key not in parameters]:
        raise ValueError(
            f"parameters of {', '.join(missing)} are missing: each ordered triple of elements needs its own"
        )
    for key, entry in parameters.items():
        if set(entry) != set(names):
            raise ValueError(f"{key} has {', '.join(entry)}; it needs exactly {', '.join(names)}")
    n = len(elements)
    return elements, {
        name: tensor([float(parameters[key][name]) for key in keys], dtype=float64).reshape(n, n, n) for name in names
    }
