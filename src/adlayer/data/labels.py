"""Which entry of a frame is which label, in which unit: found by looking, or named; never silently ignored.

Conventions at the door (what files are taken to mean unless told otherwise):

- ``energy`` is the total energy, eV. ``free_energy`` (which the forces of smeared electrons belong to) is taken where
  there is no ``energy``, or where it is named.
- ``forces`` are the true ones, eV/Å; those of constrained atoms are never zeroed.
- ``stress`` is tension-positive, eV/Å³ of the whole cell, Voigt order xx yy zz yz xz xy, as in ASE.
- ``virial`` is ``-volume * stress``, eV: positive under compression, as QUIP, DeePMD and MACE write it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import nearest
from .conversion import METAL, Units

if TYPE_CHECKING:
    from ase import Atoms

_METHODS = (
    "ref|reference|dft|qm|true|target|label|total|potential|lda|pbe|pbesol|rpbe|scan|r2scan|pbe0|hse|ccsd|"
    "vasp|cp2k|qe|espresso|gpaw|castep|aims|abinit|siesta|orca|psi4|gaussian|tblite|xtb|dftb"
)
_WORDS = {
    "energy": ("energy", "energy|enrg"),
    "forces": ("forces?", "force|gradient"),
    "stress": ("stress|virials?", "stress|virial"),
    "energies": ("energies", "atomic_energ|local_energ"),
    "charges": ("charges", "charges"),
    "dipole": ("dipole|dipole_moment", "dipole"),
}
_KNOWN = {q: re.compile(rf"(?:(?:{_METHODS})[_-])*(?:{word})", re.IGNORECASE) for q, (word, _) in _WORDS.items()}
_ALIKE = {q: re.compile(alike, re.IGNORECASE) for q, (_, alike) in _WORDS.items()}
QUANTITIES = tuple(_WORDS)
PER_ATOM = ("forces", "energies", "charges")
Keys = Mapping[str, "str | Sequence[str] | None"]
Where = Callable[[int], str]


def entries(atoms: Atoms) -> dict[str, Any]:
    """Everything a frame carries by name: per-atom arrays, info, results of its calculator (which win)."""
    found = {k: v for k, v in atoms.arrays.items() if k not in ("numbers", "positions")}
    found.update(atoms.info)
    if atoms.calc is not None:
        found.update({k: v for k, v in atoms.calc.results.items() if v is not None})
    return found


def find_names(frames: Sequence[dict], keys: Keys | None = None, place: str = "the data") -> dict[str, tuple[str, ...]]:
    """Which names hold which label, from the ``entries`` of all frames: as named, or else found by looking.

    Args:
        frames: the entries of each frame.
        keys: label -> name in the file, several names in order of preference, or None to ignore the label.
        place: what messages call the data.
    """
    present: dict[str, None] = {name: None for entry in frames for name in entry}
    keys = dict(keys or {})
    for quantity in keys:
        if quantity not in QUANTITIES:
            raise ValueError(
                f"keys names no label {quantity!r}{nearest(quantity, QUANTITIES)}; labels are {', '.join(QUANTITIES)}"
            )
    names: dict[str, tuple[str, ...]] = {}
    for quantity in QUANTITIES:
        if quantity in keys:
            wanted = keys[quantity] or ()
            names[quantity] = (wanted,) if isinstance(wanted, str) else tuple(wanted)
            for name in names[quantity]:
                if name not in present:
                    raise ValueError(
                        f"{place}: no frame has {name!r}, which keys names as {quantity}{nearest(name, present)}; "
                        f"there are {', '.join(present) or 'no entries'}"
                    )
            continue
        names[quantity] = tuple(name for name in present if _KNOWN[quantity].fullmatch(name))
        if quantity == "energy" and not names["energy"] and "free_energy" in present:
            names["energy"] = ("free_energy",)
    taken = {name for group in names.values() for name in group} | {"free_energy"}
    for quantity in ("energy", "forces", "stress"):
        alike = [n for n in present if n not in taken and _ALIKE[quantity].search(n) and _is_number(frames, n)]
        if not names[quantity] and quantity not in keys and alike:
            warnings.warn(
                f"{place}: no {quantity} found, but {', '.join(map(repr, alike))} may be one; name it with "
                f"keys={{{quantity!r}: {alike[0]!r}}}, or ignore it with keys={{{quantity!r}: None}}",
                stacklevel=2,
            )
    return names


def _is_number(frames: Sequence[dict], name: str) -> bool:
    value = next(entry[name] for entry in frames if name in entry)
    return np.asarray(value).dtype.kind in "fi" and not isinstance(value, bool)


def take(
    frames: Sequence[Atoms],
    where: Where,
    keys: Keys | None = None,
    units: Units = METAL,
    voigt: str = "xx yy zz yz xz xy",
    place: str = "the data",
) -> tuple[list[dict[str, np.ndarray]], list[dict[str, Any]]]:
    """The labels of every frame in our units (stress as ``dE/dstrain``, eV), and what is left over.

    Two names for one label are an error unless they agree, or ``keys`` says which to take.

    Args:
        frames: ASE atoms.
        where: names a frame, for messages.
        keys: as in ``find_names``.
        units: the units of what the frames hold.
        voigt: order of six-component stresses.
        place: what messages call the data.
    """
    found = [entries(a) for a in frames]
    names = find_names(found, keys, place)
    used = {name for group in names.values() for name in group}
    ordered = {q for q in (keys or {}) if len(names[q]) > 1}
    labels = []
    for k, (atoms, entry) in enumerate(zip(frames, found)):
        label = {}
        for quantity, group in names.items():
            values = {n: _canonical(entry[n], n, quantity, atoms, units, voigt, where(k)) for n in group if n in entry}
            if len(values) > 1 and quantity not in ordered and not _agree(values.values()):
                raise ValueError(_ambiguous(quantity, list(values), where(k), "that differ"))
            if values:
                label[quantity] = next(iter(values.values()))
        labels.append(label)
    for quantity, group in names.items():
        if len(group) > 1 and quantity not in ordered and not any(all(n in entry for n in group) for entry in found):
            raise ValueError(_ambiguous(quantity, group, place, "in different frames"))
    return labels, [{n: v for n, v in entry.items() if n not in used} for entry in found]


def _ambiguous(quantity: str, names: Sequence[str], place: str, how: str) -> str:
    return (
        f"{place}: {len(names)} entries {how} could be the {quantity}: {', '.join(names)}; "
        f"choose with keys={{{quantity!r}: {names[0]!r}}}"
    )


def _agree(values) -> bool:
    first, *others = values
    return all(np.allclose(first, other, rtol=1e-4, atol=1e-6) for other in others)


_SHAPES = {"energy": (), "dipole": (3,), "forces": (-1, 3), "energies": (-1,), "charges": (-1,)}


def _canonical(value, name: str, quantity: str, atoms: Atoms, units: Units, voigt: str, place: str) -> np.ndarray:
    """One label as an array of the right shape in our units; stress and virial become ``dE/dstrain`` (eV)."""
    try:
        x = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{place}: {name} should be numbers for {quantity}, got {value!r}") from None
    if not np.isfinite(x).all():
        raise ValueError(f"{place}: {name} holds {x[~np.isfinite(x)][0]}; mend or remove the frame")
    if quantity == "stress":
        x = _matrix(x, voigt, f"{place}: {name}")
        if "virial" in name.lower():
            return -x * units.virial
        volume = abs(np.linalg.det(np.asarray(atoms.cell)))
        if volume < 1e-9 and atoms.pbc.any():
            raise ValueError(f"{place}: {name} is per volume, but the cell has none; give the virial or the whole cell")
        return x * units.stress * volume
    shape = tuple(len(atoms) if n == -1 else n for n in _SHAPES[quantity])
    if x.size != np.prod(shape, dtype=int):
        raise ValueError(f"{place}: {name} has shape {x.shape}, but {quantity} of {len(atoms)} atoms has {shape}")
    return x.reshape(shape) * getattr(units, quantity)


def _matrix(x: np.ndarray, voigt: str, place: str) -> np.ndarray:
    if x.size == 9:
        x = x.reshape(3, 3)
        return 0.5 * (x + x.T)
    order = voigt.split()
    if sorted("".join(sorted(o)) for o in order) != ["xx", "xy", "xz", "yy", "yz", "zz"]:
        raise ValueError(f"voigt names the six components, such as 'xx yy zz yz xz xy', got {voigt!r}")
    if x.size != 6:
        raise ValueError(f"{place} has {x.size} components; a stress or virial has 6 or 9")
    out = np.empty((3, 3))
    for component, v in zip(order, x.ravel()):
        a, b = ("xyz".index(c) for c in component)
        out[a, b] = out[b, a] = v
    return out
