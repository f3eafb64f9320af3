"""A whole job, as a recipe describes it: every section is a class, and its constructor is the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..analysis.quantity import Analysis, Observable
from ..config import Part, build, catalogue, check_arguments, nearest
from ..fitting import Fit
from ..potential import Potential
from ..reference import Reference
from ..simulation import Engine, Langevin
from ..surfaces import Generator
from ..uncertainty import Committee, OnTheFly, Uncertainty


@dataclass(frozen=True)
class Split(Part):
    """What is held out of every batch of labels, at random.

    Args:
        valid: share that calibrates the uncertainty (and stops a gradient descent).
        test: share that nothing is fitted or calibrated to.
    """

    valid: float = 0.1
    test: float = 0.1

    def __post_init__(self):
        if not (self.valid > 0 and self.test > 0 and self.valid + self.test < 1):
            raise ValueError(
                f"Split: valid and test must be positive and leave something, got {self.valid}, {self.test}"
            )


@dataclass(frozen=True)
class Active(Part):
    """Rounds of: explore until in doubt, select what is new, label it, fit again.

    Args:
        rounds: how many at most; fewer when the potential stays within its tolerance throughout.
        explore: what moves the atoms.
        start: names of structures to start from; default: all that are labeled.
        replicas: how many copies of each start.
        every: steps between the snapshots that may be selected.
        labels: how many are labeled in a round.
        minima: weight in the fit of structures that the potential itself has relaxed, which are labeled in every round,
            for what is asked most of a potential is asked near its minima; 0: none are.
        tolerance: force error that is still acceptable, eV/Å: exploration stops where it can no longer be excluded.
        level: how sure of that one wants to be, for an atom.
        rule: another rule for when to stop: ``OnTheFly``, FLARE's, in units of the noise of a ``GaussianProcess``. Here
            it is the norm of an atom's three standard deviations that is held against it.
    """

    rounds: int = 2
    explore: Engine = field(default_factory=lambda: Langevin(temperature=[300, 1200], picoseconds=2, timestep=1.0))
    start: list[str] | None = None
    replicas: int = 1
    every: int = 50
    labels: int = 24
    minima: float = 10.0
    tolerance: float = 0.4
    level: float = 0.95
    rule: OnTheFly | None = None


@dataclass(frozen=True)
class Simulation(Part):
    """A run of the finished potential, watched by its uncertainty.

    Args:
        of: name of the structures it starts from.
        engine: what moves the atoms.
        every: steps between the frames that are kept, and between looks at the uncertainty.
        observe: names to what is seen in each frame.
        tolerance: force error beyond which the run stops and says so, eV/Å; default: that of the active loop times 3.
    """

    of: str
    engine: Engine
    every: int = 20
    observe: dict[str, Observable] = field(default_factory=dict)
    tolerance: float | None = None


class Job(Part):
    """The whole job, as a recipe describes it.

    With a reference method and a potential, the potential learns from it; one of the two alone is taken as it is.

    Args:
        structures: names to generators of structures, made in this order; later ones may refer to earlier ones by name.
        reference: the method that labels; without a potential, the method of all studies.
        potential: what is fitted; several are added. ``elements`` may be left out: those of the structures are meant.
            Or the file of a potential that is ready, this package's or another's; a bare name is looked for among those
            that come with LAMMPS as well.
        title: what people read.
        seed: of all random numbers.
        train: names of the structures that are labeled first; default: all.
        split: what is held out.
        fit: how the potential is fitted; default: least squares if it is linear, else gradient descent.
        uncertainty: how it comes to know its doubt.
        active: the rounds of exploring and labeling.
        validate: names to analyses that are made with the potential and with the reference, side by side.
        study: names to analyses that are made with the potential alone: what it is there for.
        simulation: names to simulations.
        workers: how many reference calculations run at a time, each in a process of its own, every one kept on disk; 0:
            in this process, one after another, and not kept, which suits methods that take milliseconds.
        timeout: seconds after which one is given up.
    """

    def __init__(
        self,
        structures: dict,
        reference: Reference | dict | None = None,
        potential: Potential | dict | str | None = None,
        title: str = "",
        seed: int = 0,
        train: list | None = None,
        split: Split | dict | None = None,
        fit: Fit | dict | None = None,
        uncertainty: Uncertainty | dict | None = None,
        active: Active | dict | None = None,
        validate: dict | None = None,
        study: dict | None = None,
        simulation: dict | None = None,
        workers: int = 2,
        timeout: float = 600.0,
    ):
        self.title, self.seed, self.workers, self.timeout = title, seed, workers, timeout
        self.structures = {name: _one(spec, Generator, f"structures.{name}") for name, spec in structures.items()}
        self.reference = None if reference is None else _one(reference, Reference, "reference")
        self.potential = potential
        self.train = list(structures) if train is None else _known(train, structures, "train")
        self.split = _section(Split, split)
        self.fit = None if fit is None else _one(fit, Fit, "fit")
        self.uncertainty = Committee() if uncertainty is None else _one(uncertainty, Uncertainty, "uncertainty")
        self.active = _section(Active, active)
        self.validate = {n: _one(spec, Analysis, f"validate.{n}") for n, spec in (validate or {}).items()}
        self.study = {n: _one(spec, Analysis, f"study.{n}") for n, spec in (study or {}).items()}
        self.simulation = {n: _section(Simulation, spec, n) for n, spec in (simulation or {}).items()}
        if not self.structures:
            raise ValueError("[structures] is empty: there is nothing to work on")
        self.start = self.train if self.active.start is None else _known(self.active.start, structures, "active.start")
        for name, s in self.simulation.items():
            _known([s.of], structures, f"simulation.{name}.of")
        self._check()

    @property
    def learns(self) -> bool:
        """Whether the potential is fitted here, rather than ready in a file."""
        return self.reference is not None and self.potential is not None and not self.given

    @property
    def given(self) -> bool:
        """Whether the potential is in a file."""
        return isinstance(self.potential, str) and self.potential not in catalogue(Potential)

    def _check(self) -> None:
        if self.reference is None and self.potential is None:
            raise ValueError(
                "Job needs a [reference], a [potential], or both: then the potential learns from the reference"
            )
        if self.validate and (self.reference is None or self.potential is None):
            raise ValueError(
                "[validate] holds a potential against a reference method, and there is only one of the two; what is "
                "asked of one alone goes under [study]"
            )


def _one(spec: Any, kind: type, where: str) -> Any:
    """The one object a section describes."""
    if isinstance(spec, Mapping) and len(spec) != 1:
        names = ", ".join(map(str, spec)) or "none"
        raise ValueError(f"[{where}] takes one class name with its arguments, such as [{where}.Name]; got {names}")
    try:
        made = build(spec, kind)
    except ValueError as error:
        raise ValueError(f"[{where}] {error}") from None
    if not isinstance(made, kind):
        raise ValueError(f"[{where}] takes a {kind.__name__}, got {type(made).__name__}")
    return made


def _section(cls: type, table: Any, name: str = "") -> Any:
    """A section that is of one class only, so that its table holds the arguments themselves."""
    if isinstance(table, cls):
        return table
    check_arguments(cls, table or {})
    made = {k: _build_values(v) for k, v in (table or {}).items()}
    return cls(**made)


def _build_values(value: Any) -> Any:
    """Build what is of the form ``{ClassName: {...}}`` inside a plain table."""
    if isinstance(value, Mapping) and len(value) == 1:
        key = next(iter(value))
        if key[:1].isupper() or "." in key:
            return build(value)
    if isinstance(value, Mapping):
        return {k: _build_values(v) for k, v in value.items()}
    return value


def _known(names: Sequence[str], structures: Mapping[str, Any], where: str) -> list[str]:
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        if name not in structures:
            near = nearest(name, structures)
            raise ValueError(
                f"{where} names {name!r}, which is not in [structures]{near}; there: {', '.join(structures)}"
            )
    return names
