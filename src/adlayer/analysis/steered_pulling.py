"""Free energy by pulling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..simulation import Langevin, Restrained, Spring, run
from ..simulation.biased import CollectiveVariable
from ..simulation.biased.variables import names
from ..surfaces.generator import take
from ..units import BOLTZMANN
from .free_energy import numbers
from .quantity import Analysis, Findings, Progress, Quantity
from .reweighting import log_sum_exp

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from ..potential import Evaluate


@dataclass(frozen=True)
class SteeredPulling(Analysis):
    """Free energy from the work of pulling many times: Jarzynski, Phys. Rev. Lett. 78, 2690 (1997).

    ``exp(-F(c) / k_B T) = <exp(-W(c) / k_B T)>``, where ``c`` is the center of the spring; with a stiff spring that is
    the free energy along the variable itself: Park et al., J. Chem. Phys. 119, 3559 (2003). Right only while the
    dissipated work is a few ``k_B T``: pull more slowly, or take ``UmbrellaSampling``.

    Args:
        of: name of the structure to begin with.
        variable: the collective variable.
        start: where pulling begins, in the variable's unit.
        end: where it ends.
        stiffness: of the spring, eV per squared unit.
        replicas: how many are pulled, in one batch.
        temperature: K.
        picoseconds: of pulling.
        equilibration: at the start, ps.
        timestep: fs.
        friction: of Langevin's thermostat, 1/fs.
        record: steps between records.
    """

    of: str
    variable: CollectiveVariable
    start: float
    end: float
    stiffness: float
    replicas: int = 32
    temperature: float = 300.0
    picoseconds: float = 20.0
    equilibration: float = 2.0
    timestep: float = 1.0
    friction: float = 0.01
    record: int = 50
    title = "Free energy by pulling"

    def __call__(
        self,
        evaluate: Evaluate,
        made: Mapping[str, list[Atoms]],
        progress: Progress | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> Findings:
        frames = take(self.of, made)
        if len(frames) not in (1, self.replicas):
            raise ValueError(f"{self.of!r} holds {len(frames)} structures; give one, or one for each replica")
        frames = frames * (self.replicas // len(frames))
        settings = {"temperature": self.temperature, "timestep": self.timestep, "friction": self.friction}
        stages = {"settling": (self.equilibration, None), "pulling": (self.picoseconds, self.end)}
        for stage, (name, (time, final)) in enumerate(stages.items()):
            spring = Spring(self.variable, self.start, self.stiffness, final=final)
            file = folder and Path(folder) / f"{name}.pt"
            engine = Restrained(Langevin(**settings, picoseconds=time), [spring])
            done = run(engine, evaluate, frames, seed + stage, every=self.record, checkpoint=file, progress=progress)
            if not done.finished.all():
                k = int(np.flatnonzero(~done.finished)[0])
                raise ValueError(f"replica {k + 1} of {self.replicas} ended while {name}: {done.reason[k]}")
            frames = done.frames
        return self.analyze(done.log["work (eV)"], done.log["step"] / engine.n_steps, np.random.default_rng(seed))

    def analyze(self, work: np.ndarray, way: np.ndarray, rng: np.random.Generator) -> Findings:
        """Profile and doubt (bootstrap over replicas) from the work [records, replicas]."""
        kT, n = BOLTZMANN * self.temperature, work.shape[1]

        def jarzynski(W: np.ndarray) -> np.ndarray:
            return -kT * (log_sum_exp(-W / kT, 1) - np.log(n))

        F = jarzynski(work)
        std = np.std([jarzynski(work[:, rng.integers(0, n, n)]) for _ in range(200)], axis=0, ddof=1)
        cumulant = work.mean(1) - work.var(1, ddof=1) / (2 * kT)
        where = f"from {self.start:g} to {self.end:g} {self.variable.unit}".strip()
        quantities = [
            Quantity(f"free energy {where}", float(F[-1]), "eV", float(std[-1])),
            Quantity(f"free energy {where}, by the second cumulant", float(cumulant[-1]), "eV"),
            Quantity("dissipated work", float(work[-1].mean() - F[-1]), "eV"),
        ]
        data = {
            "variable": names([self.variable])[0],
            "s": (self.start + way * (self.end - self.start)).tolist(),
            "free energy (eV)": F.tolist(),
            "std (eV)": std.tolist(),
            "work (eV)": work.T.tolist(),
        }
        return Findings(quantities, data)

    def plot(self, findings: Mapping[str, Findings]) -> Figure:
        """The work of every replica, pale, and the free energy with its doubt."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 3.5), layout="constrained")
        panel = figure.subplots()
        for m, (method, found) in enumerate(findings.items()):
            s, F, std = (numbers(found.data[key]) for key in ("s", "free energy (eV)", "std (eV)"))
            panel.plot(s, numbers(found.data["work (eV)"]).T, color=f"C{m}", alpha=0.15, lw=0.6)
            panel.plot(s, F, color=f"C{m}", label=method)
            panel.fill_between(s, F - std, F + std, color=f"C{m}", alpha=0.3, lw=0)
        panel.set_xlabel(f"center of the spring: {found.data['variable']}")
        panel.set_ylabel("work, free energy (eV)")
        panel.legend()
        return figure
