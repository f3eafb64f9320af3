"""Search for hyperparameters: any argument of any part of a recipe, by Optuna (the extra ``search``)."""

from __future__ import annotations

import copy
import inspect
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from ..config import build, find_class, nearest
from ..descriptor import make_descriptor
from ..potential import make_potential
from .fit import Fit, Fitted, Progress, default_method

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

    from ..data import Dataset


JUDGES = ("linear", "kernel")


@dataclass(frozen=True)
class Found:
    """What a search found.

    Args:
        recipe: the recipe with the best values in it; with several aims, of the first on the front.
        values: the best value of each argument that was varied.
        score: what was minimized, at its best.
        trials: all that were tried: number, values, scores, or the error of those that failed.
        front: with several aims, the values of all trials that no other beats in every aim.
    """

    recipe: dict[str, Any]
    values: dict[str, Any]
    score: tuple[float, ...]
    trials: list[dict[str, Any]] = field(default_factory=list)
    front: list[dict[str, Any]] = field(default_factory=list)


def search(
    recipe: Mapping[str, Any],
    space: Mapping[str, Any],
    train: Dataset,
    valid: Dataset,
    *,
    trials: int = 50,
    seconds: float | None = None,
    sampler: Literal["tpe", "gp", "random", "genetic"] = "tpe",
    minimize: str | Sequence[str] = "loss",
    by: Literal["linear", "kernel"] = "linear",
    storage: Path | str | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> Found:
    """Vary arguments of a recipe, fit, and keep what does best on the validation set.

    ``space`` names arguments by their path: ``"potential.ACE.cutoff" = [4.0, 6.0]`` is a range of numbers (of integers,
    if both ends are), ``["a", "b"]`` or three and more values are choices, and ``{low = 1e-9, high = 1.0, log = true}``
    and ``{choices = [1, 4]}`` say it in words.

    A recipe may hold a descriptor in place of a potential: ``{"descriptor": {"SOAP": {}}}``, its arguments
    ``"descriptor.SOAP.cutoff"``. It is then judged by what a quick regression makes of its features.

    Args:
        recipe: ``{"potential": {ClassName: {arguments}}, "fit": {ClassName: {arguments}}}``.
        space: what is varied.
        train: what is fitted to.
        valid: what judges.
        trials: how many fits in all, those of an earlier run in the same storage counted.
        seconds: no fit is begun after so much wall time.
        sampler: ``"tpe"`` (Bayesian, by tree-structured Parzen estimators), ``"gp"`` (Bayesian, by a Gaussian process:
            the fewest trials for a few numbers), ``"genetic"`` (NSGA-II, some five generations), or ``"random"``.
        minimize: ``"loss"`` (the objective of the method's weights), a metric such as ``"forces_rmse"``, ``"seconds"``
            of the fit, or several of them for a Pareto front.
        by: what judges a descriptor: ``linear``, least squares on its features, or ``kernel``, a sparse Gaussian
            process of pairs and of environments at 100 points, which suits SOAP.
        storage: a file in which every trial is kept, and from which a search goes on.
        progress: called as ``progress(done, total, message)``.
        seed: of the sampler and of the fits.
    """
    optuna = _optuna()
    aims = [minimize] if isinstance(minimize, str) else list(minimize)
    recipe = {"fit": None, **copy.deepcopy(dict(recipe))}
    judged(recipe, by, train.elements)
    for path, choice in space.items():
        _check(recipe, path, choice)
    if not space:
        raise ValueError("the search space is empty: name at least one argument, such as potential.ACE.cutoff")
    backend = None
    if storage is not None:
        Path(storage).parent.mkdir(parents=True, exist_ok=True)
        backend = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(storage)))
    study = optuna.create_study(
        storage=backend, study_name="adlayer", load_if_exists=True, directions=["minimize"] * len(aims)
    )
    study.sampler = _sampler(optuna, sampler, seed + len(study.trials), trials)

    def objective(trial: Trial) -> tuple[float, ...]:
        values = {path: _suggest(trial, path, choice) for path, choice in space.items()}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            chosen = judged(_with(recipe, values), by, train.elements)
            potential = make_potential(chosen["potential"], train.elements)
        method = build(chosen["fit"], Fit) if chosen["fit"] else default_method(potential)
        method.weights.check_groups(train)
        fitted = method(potential, train, valid, seed=seed)
        return tuple(_score(fitted, method, aim) for aim in aims)

    def attempt(trial: Trial) -> tuple[float, ...]:
        try:
            return objective(trial)
        except (ValueError, ArithmeticError, RuntimeError) as error:
            trial.set_user_attr("error", str(error))
            raise

    start = time.perf_counter()
    while (done := len(_ended(study))) < trials and (seconds is None or time.perf_counter() - start < seconds):
        study.optimize(attempt, n_trials=1, catch=(ValueError, ArithmeticError, RuntimeError))
        if progress:
            progress(done + 1, trials, _line(study, aims))
    return _found(study, recipe, space)


def _optuna():
    try:
        import optuna
    except ImportError:
        raise ImportError("the search for hyperparameters needs optuna: pip install 'adlayer[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def judged(recipe: dict[str, Any], by: str, elements: Sequence[str]) -> dict[str, Any]:
    """The recipe itself, or where it holds a descriptor, that of a quick regression on its features."""
    if "descriptor" not in recipe:
        return recipe
    if by not in JUDGES:
        raise ValueError(f"a descriptor is judged by one of {', '.join(JUDGES)}, got {by!r}{nearest(by, JUDGES)}")
    descriptor = make_descriptor(recipe["descriptor"], elements)
    environments = {"EnvironmentGP": {"descriptor": descriptor, "n_sparse": 100}}
    kernel = {"PairGP": {"cutoff": descriptor.cutoff}, **environments}
    potential = kernel if by == "kernel" else {"Linear": {"descriptor": descriptor}}
    return {"potential": potential, "fit": recipe["fit"]}


def _sampler(optuna, name: str, seed: int, trials: int):
    known = {"tpe": "TPESampler", "gp": "GPSampler", "random": "RandomSampler", "genetic": "NSGAIISampler"}
    if name not in known:
        raise ValueError(f"there is no sampler {name!r}{nearest(name, known)}; known: {', '.join(known)}")
    arguments = {"population_size": max(4, min(50, trials // 5))} if name == "genetic" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is experimental
        return getattr(optuna.samplers, known[name])(seed=seed, **arguments)


def _check(recipe: dict[str, Any], path: str, choice: Any) -> None:
    """Raise ``ValueError`` for a path that names nothing in the recipe, and for what is no range."""
    *owner, argument = path.split(".")
    place: Any = recipe
    for k, name in enumerate(owner):
        known = [str(n) for n in (range(len(place)) if isinstance(place, list) else place or ())]
        if name not in known:
            where = ".".join(owner[:k]) or "the recipe"
            has = ", ".join(known) or "nothing"
            raise ValueError(f"{path}: {where} has no {name!r}{nearest(name, known)}; it has {has}")
        place = place[int(name)] if isinstance(place, list) else place[name]
    if owner and owner[-1][:1].isupper():
        names = list(inspect.signature(find_class(owner[-1])).parameters)
        if argument not in names:
            raise ValueError(f"{path}: {owner[-1]} has no argument {argument!r}{nearest(argument, names)}")
    _kind(path, choice)


def _kind(path: str, choice: Any) -> tuple[str, Any]:
    """``"choice"`` and the values, or ``"int"`` or ``"float"`` and ``(low, high, log)``."""
    if isinstance(choice, Mapping):
        if set(choice) == {"choices"}:
            return "choice", list(choice["choices"])
        if not {"low", "high"} <= set(choice) <= {"low", "high", "log"}:
            raise ValueError(
                f"{path}: expected low and high (and log), or choices, got {', '.join(choice) or 'nothing'}"
            )
        low, high, log = choice["low"], choice["high"], bool(choice.get("log", False))
    elif not isinstance(choice, list | tuple) or len(choice) < 2:
        raise ValueError(f"{path}: expected [low, high], a list of choices, or a table, got {choice!r}")
    elif len(choice) > 2 or not all(_is_number(x) for x in choice):
        return "choice", list(choice)
    else:
        (low, high), log = choice, False
    if not (_is_number(low) and _is_number(high) and low < high and (not log or low > 0)):
        raise ValueError(f"{path}: the range must rise{' from above 0' if log else ''}, got {low!r} to {high!r}")
    return ("int" if isinstance(low, int) and isinstance(high, int) else "float"), (low, high, log)


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool)


def _suggest(trial: Trial, path: str, choice: Any) -> Any:
    kind, values = _kind(path, choice)
    if kind == "choice":  # by place, for the values may be of any type
        return values[trial.suggest_categorical(path, list(range(len(values))))]
    low, high, log = values
    return (trial.suggest_int if kind == "int" else trial.suggest_float)(path, low, high, log=log)


def _with(recipe: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    out = copy.deepcopy(recipe)
    for path, value in values.items():
        *owner, argument = path.split(".")
        place: Any = out
        for name in owner:
            place = place[int(name)] if isinstance(place, list) else place[name]
        place[argument] = value
    return out


def _score(fitted: Fitted, method: Fit, aim: str) -> float:
    if aim == "seconds":
        return fitted.seconds
    valid = fitted.metrics["valid"]
    if aim == "loss":
        return method.weights.loss(valid)
    if aim not in valid:
        known = ["loss", "seconds", *(k for k in valid if k != "groups")]
        raise TypeError(f"cannot minimize {aim!r}{nearest(aim, known)}; there are {', '.join(known)}")
    return valid[aim]


def _ended(study: Study) -> list[FrozenTrial]:
    return [t for t in study.trials if t.state.is_finished()]


def _line(study: Study, aims: list[str]) -> str:
    scored = [t for t in study.trials if t.values]
    if not scored:
        return "no fit has succeeded yet"
    best = min(scored, key=lambda t: t.values[0])
    return f"best {aims[0]} {best.values[0]:.4g} in trial {best.number}"


def _found(study: Study, recipe: dict[str, Any], space: Mapping[str, Any]) -> Found:
    def values(trial: FrozenTrial) -> dict[str, Any]:
        picked = {path: (trial.params[path], *_kind(path, choice)) for path, choice in space.items()}
        return {path: options[x] if kind == "choice" else x for path, (x, kind, options) in picked.items()}

    ended = _ended(study)
    scored = [t for t in ended if t.values and all(map(math.isfinite, t.values))]
    if not scored:
        last = ended[-1].user_attrs.get("error", "") if ended else "none was begun"
        raise ValueError(f"none of {len(ended)} fits succeeded; the last: {last}")
    trials = [
        {"number": t.number, "values": values(t), "score": t.values, "error": t.user_attrs.get("error")} for t in ended
    ]
    front = sorted(study.best_trials, key=lambda t: t.values)
    best = values(front[0])
    return Found(_with(recipe, best), best, tuple(front[0].values), trials, [values(t) for t in front])
