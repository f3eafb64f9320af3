"""Where the zero of an adsorption energy is: molecules in the gas that an adsorbate is made from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from ase import Atoms

from ..surfaces.generator import Made
from ..surfaces.packing import molecule

_TERM = re.compile(r"(?:(\d+(?:\.\d+)?(?:/\d+)?)(?:\s*\*\s*|\s+))?(\S+)")


@dataclass(frozen=True)
class GasReference:
    """An adsorbate as a sum of gas molecules, or its energy as a number.

    Args:
        species: the adsorbate.
        scheme: such as ``"0.5 H2"`` or ``"H2O - H2"``; or an energy, eV.
        terms: how many of each molecule.
    """

    species: str
    scheme: str | float
    terms: Mapping[str, Fraction]

    @staticmethod
    def of(species: str, scheme: str | float, atoms: Mapping[str, int], made: Made | None = None) -> GasReference:
        """Read a scheme; its atoms must be those of the adsorbate, given as numbers of each element."""
        if not isinstance(scheme, str):
            return GasReference(species, float(scheme), {})
        terms: dict[str, Fraction] = {}
        sign = 1
        for k, part in enumerate(re.split(r"\s([+-])\s", f" {scheme.strip()} ")):
            if k % 2:
                sign = 1 if part == "+" else -1
                continue
            match = _TERM.fullmatch(part.strip())
            if not match:
                raise ValueError(
                    f"the reference of {species} is a sum of molecules such as '0.5 H2' or 'H2O - H2', or an energy in "
                    f"eV; got {scheme!r}"
                )
            terms[match[2]] = terms.get(match[2], Fraction(0)) + sign * Fraction(match[1] or 1)
        have: Counter[str] = Counter()
        for name, n in terms.items():
            for symbol in molecule(name, made).symbols:
                have[symbol] += n
        if dict(atoms) != {s: n for s, n in have.items() if n}:
            raise ValueError(
                f"references: {species} = {scheme!r} does not balance: it holds {_formula(have)}, and the "
                f"adsorbate {_formula(atoms)}"
            )
        return GasReference(species, scheme, terms)

    def energy(self, molecules: Mapping[str, float]) -> float:
        """From the energies of the molecules, eV."""
        return self.scheme if not self.terms else sum(float(n) * molecules[name] for name, n in self.terms.items())


def gas_references(
    schemes: Mapping[str, str | float], needed: Mapping[str, Mapping[str, int]], made: Made | None
) -> dict[str, GasReference]:
    """The references of all species (with their atoms); an error names one that has none, and how to give it."""
    for species in needed:
        if species not in schemes:
            raise ValueError(
                f"adsorbed {species} has no reference: give references = {{ {species} = ... }}, molecules it is made "
                "from (such as '0.5 H2' for H, 'H2O - H2' for O, 'CO' for CO) or its energy in eV"
            )
    return {species: GasReference.of(species, schemes[species], atoms, made) for species, atoms in needed.items()}


def isolated(name: str, spin: float = 0.0, made: Made | None = None) -> Atoms:
    """A molecule alone, in no cell, with so many unpaired electrons."""
    found = molecule(name, made)
    found.info = {"role": "gas", "pattern": name} | ({"spin": spin} if spin else {})
    return found


def _formula(atoms: Mapping[str, Fraction | int]) -> str:
    return " ".join(f"{float(n):g} {s}" for s, n in atoms.items() if n) or "nothing"
