"""The one interface of all searches for minima, and what drives them: resumable, with one archive."""

from __future__ import annotations

import hashlib
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...config import Part, describe
from ...potential import Evaluate, Prediction
from ...structures import Structures
from ..state import SYSTEMS, State, fixed_atoms, pack, unpack
from .geometry import radii
from .landscape import Landscape, Quenched
from .minima import Minima

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True, eq=False)
class Population(State):
    """Where the walkers or members of a search are, each in a minimum, and all that was found on the way."""

    energy: Float[Tensor, "systems"] = field(metadata=SYSTEMS)  # eV; infinite for a member that is in no minimum
    features: Float[Tensor, "systems features"] = field(metadata=SYSTEMS)  # fingerprints
    minima: Minima  # the archive
    relaxed: int  # relaxations made
    evaluations: int  # structures evaluated

    def tell(
        self, landscape: Landscape, found: Quenched, rank: Float[Tensor, "found"] | None = None
    ) -> tuple[Any, list[bool]]:
        """The state with what was found in its archive, and which of it is new: the one place that adds to it.

        Args:
            landscape: tells minima apart.
            found: what was relaxed.
            rank: what minima are ordered by, eV; default: their energies.
        """
        batch = Minima.of(found, found.energy if rank is None else rank, self.relaxed)
        minima, new = self.minima.add(batch, found.good, landscape.fingerprint, landscape.keep)
        relaxed, evaluations = self.relaxed + len(new), self.evaluations + found.evaluations
        return replace(self, minima=minima, relaxed=relaxed, evaluations=evaluations), new

    def joined(self, found: Quenched, free: Bool[Tensor, "found_atoms"], **changes: Any) -> Any:
        """The members, and after them what was found; with whatever else changes thereby."""
        both = [(self.structures, self.prediction), (found.structures, found.prediction)]
        return replace(
            self,
            structures=Structures.cat(s for s, _ in both),
            prediction=Prediction.cat(both),
            free=torch.cat([self.free, free]),
            energy=torch.cat([self.energy, found.energy]),
            features=torch.cat([self.features, found.features]),
            **changes,
        )


class Search(Part, ABC):
    """Looks for low minima, with several structures at a time, all of which are relaxed in one batch.

    Like an engine, a search keeps nothing itself: all that a step needs of the last is in the state, and all its chance
    comes from the generator.
    """

    state: ClassVar[type[Population]] = Population

    @abstractmethod
    def init(
        self, landscape: Landscape, seeds: Structures, free: Bool[Tensor, "atoms"], generator: torch.Generator
    ) -> Population:
        """The state before the first step, from seeds of one composition whose atoms are in the same order."""

    @abstractmethod
    def step(self, landscape: Landscape, state: Population, generator: torch.Generator) -> Population:
        """The state one step later."""

    @abstractmethod
    def n_steps(self, state: Population) -> int:
        """How many steps the whole search has, as far as is known in this state."""

    @property
    def numbers(self) -> Int[Tensor, "elements"]:
        """Atomic numbers of elements that the seeds may lack."""
        return torch.zeros(0, dtype=torch.long)


def populate(landscape: Landscape, structures: Structures, free: Bool[Tensor, "atoms"]) -> Population:
    """The population of the minima below some structures; raises ``ValueError`` if there is none."""
    found = landscape.quench(structures, free, radii(structures))
    if not bool(found.good.any()):
        raise ValueError(
            f"none of the {len(structures)} seeds came to rest in one piece within {landscape.max_steps} steps; give "
            "others, or a larger max_steps"
        )
    minima = Minima.none(structures, found.features.shape[1])
    first = Population(found.structures, found.prediction, free, 0, found.energy, found.features, minima, 0, 0)
    return first.tell(landscape, found)[0]


def repeated(
    structures: Structures, free: Bool[Tensor, "atoms"], n: int
) -> tuple[Structures, Bool[Tensor, "repeated_atoms"]]:
    """``n`` structures: the seeds, again and again; all of them if there are more."""
    places = [s % len(structures) for s in range(max(n, len(structures)))]
    return structures[places], free[: len(free) // len(structures)].repeat(len(places))


def within(state: Population) -> dict[str, Any]:
    """The fields of a population, to make one that knows more."""
    return {f.name: getattr(state, f.name) for f in fields(Population)}


@dataclass(frozen=True)
class Found:
    """What a search found."""

    minima: Minima
    relaxed: int  # relaxations made
    evaluations: int  # structures evaluated
    history: list[tuple[int, float]]  # relaxations made and lowest energy (eV) after each step
    template: Atoms | None = None

    @property
    def frames(self) -> list[Atoms]:
        """The minima as ASE atoms, from the lowest to the highest; with the constraints of the seeds."""
        return self.minima.frames(self.template)


def find_minima(
    search: Search,
    evaluate: Evaluate,
    seeds: Structures | Sequence[Atoms],
    generator: torch.Generator | int = 0,
    *,
    fixed: Bool[Tensor, "atoms"] | None = None,
    target: float | None = None,
    folder: Path | str | None = None,
    every: float = 10.0,
    progress: Callable[[int, int, str], None] | None = None,
    **settings: Any,
) -> Found:
    """Run a search to its end.

    Args:
        search: basin hopping, a genetic algorithm, any.
        evaluate: a potential's ``Evaluator``, an ensemble, a reference method.
        seeds: where to begin: of one composition, in one cell; ASE atoms are brought into the order of the first, and
            their ``FixAtoms`` are obeyed.
        generator: of all random numbers, or a seed.
        fixed: atoms that stay where they are.
        target: energy at which the search ends, eV.
        folder: where the archive (``minima.extxyz``) and what is needed to go on after a kill are written; a finished
            search is only read from it.
        every: seconds between checkpoints, at least; the result does not depend on them.
        progress: called as ``progress(done, total, message)``.
        settings: of the ``Landscape``: ``fmax``, ``max_steps``, ``fingerprint``, ``keep``, ``connected``.
    """
    template = None
    if not isinstance(seeds, Structures):
        frames = alike([seeds] if hasattr(seeds, "numbers") else list(seeds))
        template, fixed, seeds = frames[0], fixed_atoms(frames) if fixed is None else fixed, Structures.from_ase(frames)
    free = torch.ones_like(seeds.numbers, dtype=torch.bool) if fixed is None else ~fixed
    if not bool(free.any()):
        raise ValueError("every atom is fixed, so there is nothing to search")
    known = torch.unique(torch.cat([seeds.numbers, search.numbers]))
    landscape = Landscape(evaluate, known, **settings)
    if isinstance(generator, int):
        generator = torch.Generator().manual_seed(generator)
    file = _File(Path(folder), _identity(search, seeds, free, generator, target, landscape)) if folder else None
    with torch.no_grad():
        state, history = file.load(search.state, generator) if file else (None, [])
        if state is None:
            state = search.init(landscape, seeds, free, generator)
            history = [(state.relaxed, state.minima.lowest)]
        written = time.monotonic()
        while state.step < search.n_steps(state) and (target is None or state.minima.lowest > target):
            state = replace(search.step(landscape, state, generator), step=state.step + 1)
            history.append((state.relaxed, state.minima.lowest))
            if file and time.monotonic() - written >= every:
                file.save(state, history, generator, template)
                written = time.monotonic()
            if progress:
                message = f"{len(state.minima)} minima, lowest {state.minima.lowest:.4f} eV"
                progress(state.step, search.n_steps(state), message)
        if file:
            file.save(state, history, generator, template)
    return Found(state.minima, state.relaxed, state.evaluations, history, template)


def alike(frames: Sequence[Atoms]) -> list[Atoms]:
    """Seeds with their atoms in the order of the first; raises ``ValueError`` unless they differ in positions only."""
    import numpy as np

    if not frames:
        raise ValueError("a search needs one seed or more, got none")
    first, ordered = frames[0], []
    target = np.argsort(first.numbers, kind="stable")
    for k, frame in enumerate(frames):
        if sorted(frame.numbers) != sorted(first.numbers):
            mine, other = frame.get_chemical_formula(), first.get_chemical_formula()
            raise ValueError(f"seeds of one search have one composition; seed {k + 1} is {mine}, the first is {other}")
        if (frame.pbc != first.pbc).any() or not np.allclose(frame.cell[frame.pbc], first.cell[first.pbc]):
            raise ValueError(f"seeds of one search have one cell; that of seed {k + 1} is not that of the first")
        if (frame.numbers != first.numbers).any():
            order = np.empty(len(frame), int)
            order[target] = np.argsort(frame.numbers, kind="stable")
            frame = frame[order]
        ordered.append(frame)
    held = fixed_atoms(ordered).reshape(len(frames), -1)
    if bool((held != held[0]).any()):
        raise ValueError("seeds of one search have the same fixed atoms, in the same places of the list")
    return ordered


def _identity(search, seeds, free, generator, target, landscape) -> dict[str, str]:
    """What tells this search from another; taken before it begins."""
    digest = hashlib.sha256()
    for x in (*pack(seeds).values(), free, generator.get_state(), landscape.elements):
        digest.update(x.cpu().numpy().tobytes())
    settings = {k: describe(v) for k, v in vars(landscape).items() if k not in ("evaluate", "elements")}
    return {
        "search": json.dumps(describe(search), sort_keys=True),
        "settings": json.dumps(settings | {"target": target}, sort_keys=True),
        "seeds": digest.hexdigest(),
    }


class _File:
    """A search on disk."""

    def __init__(self, folder: Path, identity: dict[str, str]):
        self.folder, self.identity = folder, identity
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, state: Population, history: list, generator: torch.Generator, template: Atoms | None) -> None:
        """Write all of it: whole, or not at all."""
        kept = {"identity": self.identity, "state": pack(state), "history": history}
        path = self.folder / "search.pt"
        torch.save(kept | {"generator": generator.get_state()}, path.with_name("search.pt.part"))
        os.replace(path.with_name("search.pt.part"), path)
        state.minima.write(self.folder / "minima.extxyz", template)

    def load(self, cls: type[Population], generator: torch.Generator) -> tuple[Population | None, list]:
        """Go on from what is there, if anything is."""
        path = self.folder / "search.pt"
        if not path.exists():
            return None, []
        try:
            kept = torch.load(path, weights_only=True)
            changed = [name for name, value in self.identity.items() if kept["identity"].get(name) != value]
        except Exception as error:
            raise ValueError(f"{path} cannot be read ({error}); delete it to start anew") from None
        if changed:
            raise ValueError(f"{path} is of another search ({', '.join(changed)} changed); delete it or name another")
        generator.set_state(kept["generator"])
        state = unpack(cls, kept["state"] | {"minima": Minima.unpack(kept["state"]["minima"])})
        return state, kept["history"]
