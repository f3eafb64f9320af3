"""A run under way: which systems still move, how the others ended, and all of it on disk and back."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from ..config import describe
from ..potential import Prediction
from ..structures import Structures, sum_systems
from .engine import Engine, Evaluate
from .state import State, pack, unpack, unpack_prediction
from .trajectory import Trajectory
from .watch import Watch

FINISHED = "finished"


class End(NamedTuple):
    """How a system ended."""

    structures: Structures
    prediction: Prediction
    step: int
    reason: str
    free: Bool[Tensor, "atoms"]


class Job:
    """An engine with a batch that grows smaller as its systems end.

    Args:
        engine: moves the atoms.
        evaluate: drives the engine.
        structures: the batch to begin with.
        generator: of all random numbers.
        watch: what must not run away.
        every: steps between records.
        trajectory: where frames go.
        doubt: what gives standard deviations, where ``evaluate`` does not.
        doubt_every: steps between the times it is asked.
    """

    def __init__(
        self,
        engine: Engine,
        evaluate: Evaluate,
        structures: Structures,
        generator: torch.Generator,
        watch: list[Watch],
        every: int,
        trajectory: Trajectory | None,
        doubt: Evaluate | None = None,
        doubt_every: int = 10,
    ):
        self.engine, self.evaluate, self.given, self.generator = engine, evaluate, structures, generator
        self.watch, self.every, self.trajectory = watch, every, trajectory
        self.doubt, self.doubt_every = doubt, doubt_every
        self.state: State | None = None
        self.active = list(range(structures.n_systems))  # places of the systems that still move
        self.ends: dict[int, End] = {}
        self.records: list[dict[str, list[float]]] = []

    def begin(self, fixed: Bool[Tensor, "atoms"] | None, settings: dict[str, Any]) -> None:
        """Make the first state."""
        if self.trajectory:
            self.trajectory.path.unlink(missing_ok=True)
        self.state = self.engine.init(self.evaluate, self.given, self.generator, fixed=fixed, **settings)
        self._settle()

    def advance(self) -> None:
        """Make one step."""
        self.state = self.engine.step(self.evaluate, self.state, self.generator)
        self._settle()

    def _settle(self) -> None:
        """Record what is due, and let go the systems that end here."""
        if self.doubt is not None and self.state.step % self.doubt_every == 0:
            said = self.state.prediction._replace(std=self.doubt(self.state.structures).std)
            self.state = replace(self.state, prediction=said)
        reasons = self._reasons()
        if self.state.step % self.every == 0:
            self._record(list(range(len(self.active))))
        elif reasons:
            self._record(sorted(reasons))
        if reasons:
            for s, reason in reasons.items():
                said = self.state.prediction.select(self.state.structures, [s])
                free = self.state.free[self.state.structures.system == s]
                self.ends[self.active[s]] = End(self.state.structures[[s]], said, self.state.step, reason, free)
            stay = [s for s in range(len(self.active)) if s not in reasons]
            self.active = [self.active[s] for s in stay]
            self.state = self.state.select(stay)

    def _reasons(self) -> dict[int, str]:
        """The systems of the batch that end here, and why; what is wrong outweighs that a run is over."""
        state, reasons = self.state, {}
        finished = self.engine.finished(state)
        if state.step >= self.engine.n_steps:
            over = FINISHED if finished is None else f"not finished after {state.step} steps"
            reasons |= dict.fromkeys(range(len(self.active)), over)
        if finished is not None:
            reasons |= dict.fromkeys(finished.nonzero()[:, 0].tolist(), FINISHED)
        for watch in self.watch:
            reasons |= {s: f"{alarm} at step {state.step}" for s, alarm in watch.alarm(state).items()}
        sums = state.prediction.energy
        if state.prediction.forces is not None:
            sums = sums + sum_systems(state.prediction.forces.sum(-1), state.structures)
        if not bool(sums.isfinite().all()):
            nonsense = f"energy or forces are not finite numbers at step {state.step}"
            reasons |= dict.fromkeys((~sums.isfinite()).nonzero()[:, 0].tolist(), nonsense)
        if state.together is not None:
            for s, reason in sorted(reasons.items()):
                others = (state.together == state.together[s]).nonzero()[:, 0].tolist()
                reasons |= {t: reason for t in others if t not in reasons}
        return reasons

    def _record(self, which: list[int]) -> None:
        state = self.state if len(which) == len(self.active) else self.state.select(which)
        places = [self.active[s] for s in which]
        seen = self.engine.observe(state)
        record = {"step": [state.step], "system": places} | {name: x.tolist() for name, x in seen.items()}
        self.records.append(record)
        if self.trajectory:
            self.trajectory.append(state, places, seen)

    def log(self) -> dict[str, np.ndarray]:
        """All records: ``step`` [records], and what was observed [records, systems], NaN where a system had ended."""
        names = dict.fromkeys(name for record in self.records for name in record if name not in ("step", "system"))
        shape = (len(self.records), self.given.n_systems)
        log = {name: np.full(shape, np.nan) for name in names}
        for k, record in enumerate(self.records):
            for name in names:
                log[name][k, record["system"]] = record.get(name, np.nan)
        return {"step": np.array([record["step"][0] for record in self.records])} | log

    def message(self) -> str:
        """One line on how it stands."""
        finished = sum(end.reason == FINISHED for end in self.ends.values())
        stopped = len(self.ends) - finished
        return f"{len(self.active)} moving, {finished} finished" + (f", {stopped} stopped" if stopped else "")

    def identity(self, fixed: Bool[Tensor, "atoms"] | None) -> dict[str, str]:
        """What tells this run from another; taken before it begins."""
        digest = hashlib.sha256()
        for x in (*pack(self.given).values(), fixed, self.generator.get_state()):
            digest.update(b"none" if x is None else x.cpu().numpy().tobytes())
        return {
            "engine": json.dumps(describe(self.engine), sort_keys=True),
            "watch": json.dumps(describe(self.watch), sort_keys=True),
            "every": f"{self.every}, {self.doubt_every if self.doubt else 1}",
            "structures or seed": digest.hexdigest(),
        }

    def save(self, path: Path, identity: dict[str, str]) -> None:
        """Write a checkpoint: whole, or not at all."""
        kept = {
            "identity": identity,
            "state": pack(self.state),
            "active": self.active,
            "ends": {place: [pack(x) for x in end] for place, end in self.ends.items()},
            "records": self.records,
            "generator": self.generator.get_state(),
            "size": self.trajectory.size if self.trajectory else 0,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".part")
        torch.save(kept, temporary)
        os.replace(temporary, path)

    def load(self, path: Path, identity: dict[str, str]) -> bool:
        """Go on from a checkpoint, where there is one."""
        if not path.exists():
            return False
        try:
            kept = torch.load(path, weights_only=True)
            changed = [name for name, value in identity.items() if kept["identity"].get(name) != value]
        except Exception as error:
            raise ValueError(
                f"{path} is not a checkpoint that can be read ({error}); delete it to start anew"
            ) from None
        if changed:
            raise ValueError(
                f"{path} is of another run ({', '.join(changed)} changed); delete it to start anew or name another"
            )
        self.state = unpack(self.engine.state, kept["state"])
        self.active, self.records = kept["active"], kept["records"]
        self.ends = {
            place: End(Structures(**structures), unpack_prediction(said), step, reason, free)
            for place, (structures, said, step, reason, free) in kept["ends"].items()
        }
        self.generator.set_state(kept["generator"])
        if self.trajectory:
            self.trajectory.cut(kept["size"])
        return True
