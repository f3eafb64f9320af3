"""Any ASE calculator as a reference method, by its dotted name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config import find_class
from .method import Reference


class ASE(Reference):
    """Any ASE calculator: ``ASE(calculator="ase.calculators.emt.EMT")``.

    Args:
        calculator: dotted name of the class.
        arguments: for its constructor; a charge or spin goes here.
        fallbacks: tables of arguments that replace some of those at the second attempt, the third, and so on.
    """

    def __init__(
        self,
        calculator: str,
        arguments: Mapping[str, Any] | None = None,
        fallbacks: Sequence[Mapping[str, Any]] = (),
    ):
        if "." not in calculator:
            raise ValueError(f"ASE needs a dotted name such as 'ase.calculators.emt.EMT', got {calculator!r}")
        self.name, self.settings, self.fallbacks = calculator, dict(arguments or {}), [dict(f) for f in fallbacks]

    @property
    def arguments(self) -> dict[str, Any]:
        return {"calculator": self.name, "arguments": self.settings, "fallbacks": self.fallbacks}

    def __repr__(self) -> str:
        return f"ASE(calculator={self.name!r}, arguments={self.settings!r}, fallbacks={self.fallbacks!r})"

    def calculator(self, charge: float = 0.0, spin: float = 0.0, attempt: int = 0):
        """Later attempts take the fallbacks in their order, and the last of them when there are no more."""
        if charge or spin:
            raise ValueError(f"ASE cannot tell {self.name} the charge {charge:g} or spin {spin:g} of a structure")
        changed = self.fallbacks[min(attempt, len(self.fallbacks)) - 1] if attempt and self.fallbacks else {}
        return find_class(self.name)(**(self.settings | changed))
