"""Units of files: from the words people write to factors into eV and Å."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..config import nearest
from ..units import BOHR, DEBYE, GPA, HARTREE, KBAR, KCAL_PER_MOL, KJ_PER_MOL, RYDBERG

_ENERGY = {
    "ev": 1.0,
    "mev": 1e-3,
    "hartree": HARTREE,
    "ha": HARTREE,
    "rydberg": RYDBERG,
    "ry": RYDBERG,
    "kcal/mol": KCAL_PER_MOL,
    "kj/mol": KJ_PER_MOL,
}
_LENGTH = {"angstrom": 1.0, "ang": 1.0, "å": 1.0, "bohr": BOHR, "nm": 10.0}
_PRESSURE = {"gpa": GPA, "kbar": KBAR, "kb": KBAR, "bar": KBAR / 1e3, "mbar": KBAR * 1e3, "pa": GPA * 1e-9}
_DIPOLE = {"debye": DEBYE, "e*angstrom": 1.0, "e*bohr": BOHR}
_PRESETS = {"metal": ("eV", "angstrom"), "atomic": ("hartree", "bohr"), "real": ("kcal/mol", "angstrom")}


class Units(NamedTuple):
    """Factors: a number in the file times the factor is the number in our units."""

    energy: float = 1.0  # eV
    length: float = 1.0  # Å
    forces: float = 1.0  # eV/Å
    stress: float = 1.0  # eV/Å³; negative where the file's stress is positive under compression
    virial: float = 1.0  # eV; negative where the file's virial is positive under tension
    dipole: float = 1.0  # e Å
    charges: float = 1.0  # e
    energies: float = 1.0  # eV


METAL = Units()


def parse_units(spec: str | Mapping[str, str] | Units | None) -> Units:
    """Read ``"metal"`` (eV, Å), ``"atomic"`` (Hartree, Bohr), ``"real"`` (kcal/mol, Å), or words per quantity.

    What is not said follows: forces and stress from energy and length. A minus before the stress (``"-kbar"``) says
    that it is positive under compression, as VASP prints it; before the virial, that it is positive under tension.

    >>> round(parse_units({"energy": "kcal/mol"}).forces, 7)
    0.0433641
    """
    if spec is None or isinstance(spec, Units):
        return spec or METAL
    if isinstance(spec, str):
        if spec not in _PRESETS:
            raise ValueError(f"units has no preset {spec!r}{nearest(spec, _PRESETS)}; there are {', '.join(_PRESETS)}")
        spec = dict(zip(("energy", "length"), _PRESETS[spec]))
    for name in spec:
        if name not in Units._fields:
            raise ValueError(
                f"units has no quantity {name!r}{nearest(name, Units._fields)}; there are {', '.join(Units._fields)}"
            )
    energy = _factor("energy", spec.get("energy", "eV"), _ENERGY)
    length = _factor("length", spec.get("length", "angstrom"), _LENGTH)
    per_volume = {f"{e}/{a}^3": x / y**3 for e, x in _ENERGY.items() for a, y in _LENGTH.items()}
    per_length = {f"{e}/{a}": x / y for e, x in _ENERGY.items() for a, y in _LENGTH.items()}
    given = {"forces": per_length, "stress": {**_PRESSURE, **per_volume}, "virial": _ENERGY, "dipole": _DIPOLE}
    factors = {"forces": energy / length, "stress": energy / length**3, "virial": energy, "dipole": length}
    factors |= {name: _factor(name, spec[name], known) for name, known in given.items() if name in spec}
    return Units(energy=energy, length=length, energies=energy, **factors)


def _factor(quantity: str, word: str, known: Mapping[str, float]) -> float:
    sign = -1.0 if word.startswith("-") else 1.0
    plain = word.lower().lstrip("-").replace(" ", "").replace("³", "^3").replace("**3", "^3")
    if plain not in known or (sign < 0 and quantity not in ("stress", "virial")):
        short = [k for k in known if "nm" not in k and "å" not in k][:10]
        raise ValueError(
            f"units: {quantity} in {word!r} is not known{nearest(plain, known)}; for example {', '.join(short)}"
        )
    return sign * known[plain]
