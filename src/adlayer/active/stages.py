"""Work in stages that are never done twice: each keeps its results on disk under what they depend on."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .. import __version__
from ..config import describe
from ..data import Dataset, read, write
from ..potential import Potential
from ..saving import load, save, write_json

Progress = Callable[[int, int, str], None]


class Observer(Protocol):
    """Who is told what happens: the command line shows bars, a test may count."""

    def stage(self, title: str) -> AbstractContextManager[Progress]:
        """A stage begins; what it yields is called as ``progress(done, total, message)``."""

    def note(self, text: str) -> None:
        """Something worth knowing."""


class Silent:
    """Nobody is told."""

    def stage(self, title: str) -> AbstractContextManager[Progress]:
        return nullcontext(lambda done, total, message: None)

    def note(self, text: str) -> None:
        pass


class Stages:
    """Runs stages one after another in a folder of their own.

    A stage is finished when its ``stage.json`` is there. Its key is a hash of its settings and of the keys of all
    stages before it, so a job that was killed goes on where it was, and one whose recipe was changed repeats just what
    depends on the change. What a stage returns is always what was read back from disk: a job that went on has the same
    numbers as one that was never stopped.

    Args:
        folder: of the whole job.
        seed: from which each stage derives its own random numbers.
        observer: who is told.
        finished: whether all must be there already.
    """

    def __init__(self, folder: Path, seed: int, observer: Observer | None = None, finished: bool = False):
        self.finished = finished
        self.folder, self.seed, self.observer = Path(folder), seed, observer or Silent()
        self.key = _hash("", {"adlayer": __version__, "seed": seed})
        self.records: list[dict[str, Any]] = []

    def rng(self, name: str) -> np.random.Generator:
        """The random numbers of a stage, whatever ran before it."""
        return np.random.default_rng([self.seed, int(_hash("", name)[:8], 16)])

    def run(
        self,
        name: str,
        title: str,
        settings: Any,
        work: Callable[[Path, Progress], Mapping[str, Any]],
        last: bool = False,
    ) -> dict:
        """The results of a stage, by name: from disk if it is finished, else from ``work(folder, progress)``.

        Args:
            name: its folder, such as ``"round-1/labels"``.
            title: what people read.
            settings: what its results depend on beside the stages before it.
            work: gives its results: data sets, potentials, or whatever JSON can hold.
            last: whether no later stage depends on it, so that a change of it repeats nothing else.
        """
        key = _hash(self.key, {"name": name, "settings": describe(settings)})
        if not last:
            self.key = key
        place = self.folder / name
        record = _read_record(place)
        if record.get("key") != key:
            if self.finished:
                raise ValueError(f"the job in {self.folder} has not finished {name}; go on with adlayer run")
            _begin(place, key)
            start = time.perf_counter()
            with self.observer.stage(title) as progress:
                results = work(place, progress)
                kinds = {key: _keep(place, key, value) for key, value in results.items()}
            record = {"key": key, "title": title, "results": kinds, "seconds": time.perf_counter() - start}
            write_json(place / "stage.json", record)
        self.records.append({"name": name, **record})
        return {key: _recall(place, key, kind) for key, kind in record["results"].items()}


def _hash(history: str, what: Any) -> str:
    return hashlib.sha256((history + json.dumps(what, sort_keys=True, default=str)).encode()).hexdigest()


def _begin(place: Path, key: str) -> None:
    """An empty folder for a new stage; one that was killed finds what it had."""
    started = place / "started"
    if not (started.exists() and started.read_text() == key):
        if place.exists():
            shutil.rmtree(place)
        place.mkdir(parents=True)
        started.write_text(key)


def _read_record(place: Path) -> dict[str, Any]:
    try:
        return json.loads((place / "stage.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _keep(place: Path, key: str, value: Any) -> str:
    if isinstance(value, Dataset):
        write(place / f"{key}.extxyz", value)
        return "data" if len(value) else "nothing"
    if isinstance(value, Potential):
        save(place / f"{key}.adl", value)
        return "potential"
    write_json(place / f"{key}.json", value)
    return "json"


def _recall(place: Path, key: str, kind: str) -> Any:
    if kind == "data":
        return read(place / f"{key}.extxyz")
    if kind == "potential":
        return load(place / f"{key}.adl")
    if kind == "nothing":
        return Dataset.from_ase([])
    return json.loads((place / f"{key}.json").read_text())
