"""Reference energies: one per element, the zero from which a potential counts; given, of isolated atoms, or fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..config import nearest
from ..potential import ReferenceEnergies
from .dataset import Dataset


@dataclass(frozen=True)
class ElementEnergies:
    """Energies per element, how each was found, and whether the data determine them.

    Args:
        energies: eV per atom, by symbol.
        source: ``given``, ``isolated atom`` or ``least squares``, by symbol.
        rank: of the compositions that the fitted ones were found from.
        n_fitted: how many were fitted.
        rms: what is left of the energies per atom, eV.
        combinations: sums of atoms whose energy the data do not determine, in words.
    """

    energies: dict[str, float]
    source: dict[str, str]
    rank: int
    n_fitted: int
    rms: float
    combinations: tuple[str, ...] = ()

    @property
    def determined(self) -> bool:
        """Whether the data tell the energy of every element."""
        return self.rank == self.n_fitted

    def potential(self) -> ReferenceEnergies:
        """As the part of a potential that every atom adds."""
        return ReferenceEnergies(dict(self.energies))

    def __str__(self) -> str:
        rows = [f"  {e:<2}  {x:>16.6f} eV   {self.source[e]}" for e, x in self.energies.items()]
        lines = ["Reference energies per atom", *rows, f"  left over: {self.rms:.4g} eV/atom rms"]
        if not self.determined:
            lines += [
                f"  The compositions do not tell these energies apart (rank {self.rank} for {self.n_fitted} elements):",
                f"  adding to them in proportion {' or '.join(self.combinations)} changes nothing.",
                "  Taken: the smallest that fit. Give energies of isolated atoms where other compositions matter.",
            ]
        return "\n".join(lines)


def reference_energies(
    dataset: Dataset,
    given: Mapping[str, float] | None = None,
    method: Literal["auto", "isolated", "least squares"] = "auto",
) -> ElementEnergies:
    """One energy per element of the data set.

    What is ``given`` stands. Then isolated atoms in the data (single atoms with an energy and no neighbor), and the
    rest by least squares over ``E/N``. Where compositions do not determine them (one stoichiometry throughout,
    say) it is the solution of least norm, and the result says so.

    Args:
        dataset: with energies.
        given: eV per atom, by symbol.
        method: ``isolated`` insists on an isolated atom of every element not given; ``least squares`` passes them over.
    """
    if method not in ("auto", "isolated", "least squares"):
        raise ValueError(f"method should be 'auto', 'isolated' or 'least squares', got {method!r}")
    elements, known = dataset.elements, dataset.has("energy").numpy()
    for symbol in given or {}:
        if symbol not in elements:
            raise ValueError(f"given names {symbol!r}{nearest(symbol, elements)}; the data hold {', '.join(elements)}")
    energies = {e: float(x) for e, x in (given or {}).items()}
    source = dict.fromkeys(energies, "given")
    if method != "least squares":
        for symbol, energy in _isolated(dataset, known).items():
            if symbol not in energies:
                energies[symbol], source[symbol] = energy, "isolated atom"
    fitted = [e for e in elements if e not in energies]
    if fitted and method == "isolated":
        raise ValueError(
            f"no isolated atom of {', '.join(fitted)} with an energy is in the data; add one, give its energy, or use "
            "method='least squares'"
        )
    if fitted and not known.any():
        raise ValueError("no structure has an energy, so no reference energies can be fitted; give them")
    count = dataset.composition().double().numpy()[known]
    E = dataset.labels.energy.double().numpy()[known] if known.any() else np.zeros(0)
    N = count.sum(1)
    rest = E - sum(count[:, elements.index(e)] * energies[e] for e in energies)
    X = count[:, [elements.index(e) for e in fitted]]
    use = X.sum(1) > 0
    rank, combinations = 0, ()
    if fitted:
        A = X[use] / N[use, None]
        x, _, rank, _ = np.linalg.lstsq(A, rest[use] / N[use], rcond=1e-8)
        energies.update(zip(fitted, x.tolist()))
        source.update(dict.fromkeys(fitted, "least squares"))
        combinations = _undetermined(A, fitted, int(rank))
    left = (E - count @ [energies[e] for e in elements]) / N
    rms = float(np.sqrt(np.mean(left**2))) if len(left) else np.nan
    ordered = {e: energies[e] for e in elements}
    return ElementEnergies(ordered, source, int(rank), len(fitted), rms, combinations)


def _isolated(dataset: Dataset, known: np.ndarray) -> dict[str, float]:
    """The energy of each element's isolated atom; of several, the lowest (a ground state)."""
    from .doctor.view import nearest_distances

    single = np.flatnonzero(known & (dataset.structures.counts.numpy() == 1))
    if not len(single):
        return {}
    atoms = dataset[single.tolist()]
    alone = nearest_distances(atoms.structures).isinf() & (atoms.structures.charge == 0)
    found: dict[str, float] = {}
    for k in alone.nonzero()[:, 0].tolist():
        symbol = atoms[k].elements[0]
        found[symbol] = min(found.get(symbol, np.inf), float(atoms.labels.energy[k]))
    return found


def _undetermined(A: np.ndarray, elements: list[str], rank: int) -> tuple[str, ...]:
    """The null space of the compositions in words, such as ``2 Ti - O``."""
    if rank == len(elements):
        return ()
    from scipy.linalg import null_space

    said = []
    for v in null_space(A, rcond=1e-8).T:
        v = v / np.abs(v[np.abs(v) > 1e-6]).min()
        v = v * np.sign(v[np.argmax(np.abs(v) > 1e-6)])
        terms = [f"{'-' if c < 0 else '+'} {abs(c):.3g} {e}" for c, e in zip(v, elements) if abs(c) > 1e-6]
        said.append(" ".join(terms).removeprefix("+ ").replace(" 1 ", " ").removeprefix("1 "))
    return tuple(said)
