"""Run any search: resumable, to a folder with the archive of what it found."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from ...config import describe
from ...potential import Evaluate
from ...structures import Structures
from ..state import fixed_atoms, pack, unpack
from .landscape import Landscape
from .minima import Minima
from .search import Population, Search

if TYPE_CHECKING:
    from ase import Atoms


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
    if not isinstance(search, Search):
        what = f"the class {search.__name__}" if isinstance(search, type) else type(search).__name__
        raise TypeError(f"find_minima takes a search, such as BasinHopping(), got {what}; an engine is run by run")
    template = None
    if not isinstance(seeds, Structures):
        frames = alike([seeds] if hasattr(seeds, "numbers") else list(seeds))
        template, fixed, seeds = frames[0], fixed_atoms(frames) if fixed is None else fixed, Structures.from_ase(frames)
    elif not len(seeds) or bool((seeds.numbers != seeds[0].numbers.repeat(len(seeds))).any()):
        raise ValueError("a search needs one seed or more, all of the same atoms in the same order")
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
        saved = state
        if state is None:
            state = search.init(landscape, seeds, free, generator)
            history = [(state.relaxed, state.minima.lowest)]
        written = time.monotonic()
        while state.step < search.n_steps(state) and (target is None or state.minima.lowest > target):
            state = replace(search.step(landscape, state, generator), step=state.step + 1)
            history.append((state.relaxed, state.minima.lowest))
            if file and time.monotonic() - written >= every:
                file.save(state, history, generator, template)
                saved, written = state, time.monotonic()
            if progress:
                message = f"{len(state.minima)} minima, lowest {state.minima.lowest:.4f} eV"
                progress(state.step, search.n_steps(state), message)
        if file and saved is not state:
            file.save(state, history, generator, template)
    return Found(state.minima, state.relaxed, state.evaluations, history, template)


def alike(frames: Sequence[Atoms]) -> list[Atoms]:
    """Seeds with their atoms in the order of the first; raises ``ValueError`` unless they differ in positions only."""
    if not frames:
        raise ValueError("a search needs one seed or more, got none")
    first = frames[0]
    kinds = [2 * frame.numbers + fixed_atoms([frame]).numpy() for frame in frames]  # element, and whether it is fixed
    target, ordered = np.argsort(kinds[0], kind="stable"), []
    for k, (frame, kind) in enumerate(zip(frames, kinds)):
        if sorted(frame.numbers) != sorted(first.numbers):
            mine, other = frame.get_chemical_formula(), first.get_chemical_formula()
            raise ValueError(f"seeds of one search have one composition; seed {k + 1} is {mine}, the first is {other}")
        if (frame.pbc != first.pbc).any() or not np.allclose(frame.cell[frame.pbc], first.cell[first.pbc]):
            raise ValueError(f"seeds of one search have one cell; that of seed {k + 1} is not that of the first")
        if sorted(kind) != sorted(kinds[0]):
            raise ValueError(f"seeds of one search have the same fixed atoms; not so seed {k + 1} and the first")
        if (kind != kinds[0]).any():
            order = np.empty(len(frame), int)
            order[target] = np.argsort(kind, kind="stable")
            frame = frame[order]
        ordered.append(frame)
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
