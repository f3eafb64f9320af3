"""Drive an engine: watch it, write it down, stop it with a reason, and take it up again where it was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from ..potential import Potential, Prediction
from ..structures import Structures
from .engine import Engine, Evaluate
from .job import FINISHED, Job
from .relaxation import LBFGS
from .state import State, fixed_atoms
from .trajectory import open_trajectory
from .watch import Watch

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True)
class Run:
    """What became of a batch of systems, each in its place."""

    structures: Structures  # where the atoms ended
    prediction: Prediction  # and what was said of them there
    steps: np.ndarray  # how many each system made
    reason: list[str]  # why each ended: "finished", or what was wrong
    log: dict[
        str, np.ndarray
    ]  # "step" [records]; what the engine observed [records, systems], NaN after a system's end
    free: Bool[Tensor, "atoms"]  # atoms that could move
    state: State  # what the engine remembered at the end, of no system any more: hills, for example
    templates: list[Atoms] | None = None  # the ASE atoms it began with, if those were given

    @property
    def finished(self) -> np.ndarray:
        """Which systems came to their proper end."""
        return np.array([r == FINISHED for r in self.reason], dtype=bool)

    @property
    def frames(self) -> list[Atoms]:
        """The ends as ASE atoms with energy and true forces; with their constraints and info where atoms were given."""
        from ase.calculators.singlepoint import SinglePointCalculator
        from ase.constraints import FixAtoms

        frames = self.structures.to_ase()
        for s, frame in enumerate(frames):
            template = None if self.templates is None else self.templates[s].copy()
            if template is not None and len(template) != len(frame):  # atoms came or went
                frame.info |= template.info
                held = ~self.free[self.structures.system == s].cpu().numpy()
                frame.set_constraint(FixAtoms(mask=held) if held.any() else None)
            elif template is not None:
                template.set_atomic_numbers(frame.numbers)
                template.set_cell(frame.cell)
                template.set_positions(frame.positions, apply_constraint=False)
                frame = frames[s] = template
            said = self.prediction.select(self.structures, s)
            known = {} if said.forces is None else {"forces": said.forces.cpu().numpy()}
            frame.calc = SinglePointCalculator(frame, energy=float(said.energy), **known)
        return frames


def run(
    engine: Engine,
    evaluate: Evaluate,
    structures: Structures | Sequence[Atoms],
    generator: torch.Generator | int = 0,
    *,
    fixed: Bool[Tensor, "atoms"] | None = None,
    watch: Watch | Iterable[Watch] = (),
    every: int = 10,
    trajectory: Path | str | None = None,
    checkpoint: Path | str | None = None,
    checkpoint_every: int = 100,
    doubt: Evaluate | None = None,
    doubt_every: int = 10,
    progress: Callable[[int, int, str], None] | None = None,
    **settings: Any,
) -> Run:
    """Run an engine to its end. A system that finishes, or in which something runs away, leaves the batch at once.

    Args:
        engine: dynamics, a relaxation, anything with ``init`` and ``step``.
        evaluate: a potential's ``Evaluator``, an ensemble, a reference method.
        structures: or ASE atoms, whose ``FixAtoms`` are then obeyed.
        generator: of all random numbers, or a seed.
        fixed: atoms that stay where they are.
        watch: what must not run away, one or several; energies and forces that are not finite always end a system.
        every: steps between records, in the log and on the trajectory; the end of a system is always recorded.
        trajectory: file to write: ``.extxyz``, ASE's ``.traj``, or ``.h5``.
        checkpoint: file from which a killed run goes on, to the same digits; a finished run is only read from it.
        checkpoint_every: steps between its writings.
        doubt: what gives standard deviations, where ``evaluate`` leaves them out because they cost more than forces.
        doubt_every: steps between the times it is asked.
        progress: called as ``progress(done, total, message)``.
        settings: anything else for the engine's ``init``: velocities, masses.
    """
    _check(engine, evaluate)
    templates = None
    if not isinstance(structures, Structures):
        templates = [structures] if hasattr(structures, "numbers") else list(structures)
        fixed = fixed_atoms(templates) if fixed is None else fixed
        structures = Structures.from_ase(templates)
    if isinstance(generator, int):
        generator = torch.Generator().manual_seed(generator)
    job = Job(
        engine,
        evaluate,
        structures,
        generator,
        [watch] if isinstance(watch, Watch) else list(watch),
        every,
        trajectory and open_trajectory(trajectory),
        doubt,
        doubt_every,
    )
    checkpoint = checkpoint and Path(checkpoint)
    identity = job.identity(fixed)
    with torch.no_grad():
        if not (checkpoint and job.load(checkpoint, identity)):
            job.begin(fixed, settings)
        while job.active:
            if checkpoint and job.state.step % checkpoint_every == 0:
                job.save(checkpoint, identity)
            job.advance()
            if progress and (job.state.step % every == 0 or not job.active):
                progress(job.state.step, engine.n_steps, job.message())
    if checkpoint:
        job.save(checkpoint, identity)
    if job.trajectory:
        job.trajectory.close()
    ends = [job.ends[place] for place in range(len(structures))]
    return Run(
        structures=Structures.cat(end.structures for end in ends),
        prediction=_together(ends),
        steps=np.array([end.step for end in ends], dtype=int),
        reason=[end.reason for end in ends],
        log=job.log(),
        free=torch.cat([end.free for end in ends]),
        state=job.state,
        templates=templates,
    )


def _check(engine: Engine, evaluate: Evaluate) -> None:
    if not isinstance(engine, Engine):
        what = f"the class {engine.__name__}" if isinstance(engine, type) else type(engine).__name__
        raise TypeError(f"run takes an engine, such as Langevin(), got {what}; a search is run by find_minima")
    if isinstance(evaluate, Potential):
        raise TypeError("run takes what evaluates structures: Evaluator(potential) rather than the potential itself")
    if not callable(evaluate):
        what = type(evaluate).__name__
        raise TypeError(
            f"run takes what evaluates structures, got {what}; calculator_evaluate makes it of a calculator"
        )


def _together(ends) -> Prediction:
    whole = Prediction.cat((end.structures, end.prediction) for end in ends)
    if all(end.prediction.std is not None for end in ends):
        whole = whole._replace(std=Prediction.cat((end.structures, end.prediction.std) for end in ends))
    return whole


def relax(
    evaluate: Evaluate,
    structures: Structures | Sequence[Atoms],
    fmax: float = 0.01,
    max_steps: int = 500,
    cell: bool | list[bool] = False,
    **settings: Any,
) -> Run:
    """Relax structures until no force exceeds ``fmax`` (eV/Å), and where asked their cells, by ``LBFGS``.

    The settings are those of ``run``, which also takes other engines: ``run(FIRE(fmax=0.01), evaluate, structures)``.
    """
    return run(LBFGS(fmax=fmax, max_steps=max_steps, cell=cell), evaluate, structures, **settings)
