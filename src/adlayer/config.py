"""``{ClassName: {arguments}}`` to objects and back: how recipes name things, and how potentials are saved.

The constructor signature is the schema and its docstring the help. A class is found by walking the package, one outside
the package by its dotted path; nothing is registered by hand.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Part:
    """Something a recipe can name. Remembers the arguments it was made with, so that it can be written down again."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _remembering(cls.__init__)

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor arguments that were given; all fields, for a dataclass."""
        if dataclasses.is_dataclass(self):
            return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}
        return dict(self.__dict__.get("_arguments", {}))


def _remembering(init):
    signature = inspect.signature(init)

    @functools.wraps(init)
    def remembering(self, *args, **kwargs):
        if "_arguments" not in self.__dict__:
            arguments = dict(signature.bind(self, *args, **kwargs).arguments)
            for name, parameter in signature.parameters.items():
                if parameter.kind is parameter.VAR_KEYWORD:
                    arguments.update(arguments.pop(name, {}))
            arguments.pop(next(iter(signature.parameters)))
            self.__dict__["_arguments"] = arguments
        init(self, *args, **kwargs)

    return remembering


_ROOMS = (
    "potentials",
    "descriptors",
    "electrostatics",
    "data",
    "fitting",
    "uncertainty",
    "reference",
    "active",
    "surfaces",
    "simulation",
    "analysis",
)


def catalogue(kind: type | str | None = None) -> dict[str, type]:
    """All parts of the package by name: of one base class, of one room (``"potentials"``), or all of them."""
    if isinstance(kind, str) and kind not in _ROOMS:
        raise ValueError(f"no room {kind!r}; there are {', '.join(_ROOMS)}")
    found: dict[str, type] = {}
    for room in [kind] if isinstance(kind, str) else ("potential", *_ROOMS):
        found |= {n: cls for n, cls in _parts_of(room).items() if not isinstance(kind, type) or issubclass(cls, kind)}
    return dict(sorted(found.items()))


@functools.cache
def _parts_of(room: str) -> dict[str, type]:
    """The parts that the modules of one room define, those of its folders included."""
    package = importlib.import_module(f"{__package__}.{room}")
    names = [package.__name__, *(m.name for m in pkgutil.walk_packages(_path_of(package), f"{package.__name__}."))]
    found = {}
    for module in map(importlib.import_module, names):
        for name, cls in vars(module).items():
            is_own = inspect.isclass(cls) and cls.__module__ == module.__name__ and issubclass(cls, Part)
            if is_own and not inspect.isabstract(cls) and not name.startswith("_"):
                found[name] = cls
    return found


def _path_of(package: types.ModuleType) -> list[str]:
    return list(getattr(package, "__path__", []))


def find_class(name: str, kind: type | str | None = None) -> type:
    """Find a part by its class name, or any class by its dotted path."""
    if "." in name:
        module, _, attribute = name.rpartition(".")
        try:
            return getattr(importlib.import_module(module), attribute)
        except ImportError as error:
            raise ValueError(f"cannot import {module!r} for {name!r}: {error}") from None
        except AttributeError:
            near = nearest(attribute, dir(importlib.import_module(module)))
            raise ValueError(f"module {module!r} has no {attribute!r}{near}") from None
    for room in [kind] if isinstance(kind, str) else ("potential", *_ROOMS):
        cls = _parts_of(room).get(name) if room in (*_ROOMS, "potential") else None
        if cls is not None and (not isinstance(kind, type) or issubclass(cls, kind)):
            return cls
    known = catalogue(kind)
    what = kind if isinstance(kind, str) else kind.__name__ if kind else "part"
    raise ValueError(f"there is no {what} named {name!r}{nearest(name, known)}; known: {', '.join(known)}")


def build(spec: Any, kind: type[T] | str | None = None) -> T:
    """Make the object that ``{ClassName: {arguments}}`` describes (or ``"ClassName"``, or an object already made).

    Arguments that are themselves of that form are built first. Unknown and missing arguments are errors that name the
    nearest match.
    """
    if isinstance(spec, str):
        spec = {spec: {}}
    if not isinstance(spec, Mapping):
        return spec
    if len(spec) != 1:
        raise ValueError(f"expected one class name with its arguments, got {len(spec)} names: {', '.join(spec)}")
    name, arguments = next(iter(spec.items()))
    cls = find_class(name, kind)
    if arguments is None or arguments is True:
        arguments = {}
    if not isinstance(arguments, Mapping):
        raise ValueError(f"{name} takes a table of arguments, got {arguments!r}")
    arguments = {key: _build_value(value) for key, value in arguments.items()}
    check_arguments(cls, arguments)
    try:
        return cls(**arguments)
    except (TypeError, ValueError) as error:
        message = str(error)
        raise ValueError(message if message.startswith(name.split(".")[-1]) else f"{name}: {message}") from error


def _build_value(value: Any) -> Any:
    if isinstance(value, Mapping) and len(value) == 1:
        name, arguments = next(iter(value.items()))
        if (isinstance(arguments, Mapping) or arguments is True) and _names_a_class(name):
            return build(value)
    if isinstance(value, Mapping):
        return {k: _build_value(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_build_value(v) for v in value]
    return value


def _names_a_class(key: Any) -> bool:
    if "." in key:
        return key.rpartition(".")[2][:1].isupper()
    return key[:1].isupper() and any(key in _parts_of(room) for room in ("potential", *_ROOMS))


def check_arguments(function: Any, arguments: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for arguments a signature does not take, misses, or wants of another simple type."""
    name = getattr(function, "__name__", str(function))
    parameters = inspect.signature(function).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    names = [n for n, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    for key in arguments:
        if key not in names and not open_ended:
            raise ValueError(
                f"{name} has no argument {key!r}{nearest(key, names)}; it takes {', '.join(names) or 'none'}"
            )
    for key in names:
        if parameters[key].default is inspect.Parameter.empty and key not in arguments:
            raise ValueError(f"{name} needs the argument {key!r}")
    target = function.__init__ if inspect.isclass(function) else function
    try:
        hints = typing.get_type_hints(target)
    except Exception:  # annotations that cannot be resolved are no reason to refuse
        return
    for key, value in arguments.items():
        if key in hints and not _fits(value, hints[key]):
            raise ValueError(f"{name}: {key} must be {_spell(hints[key])}, got {value!r}")


_SIMPLE = (bool, int, float, str)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value fits a simple annotation; anything not simple passes."""
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (bool, str):
        return isinstance(value, hint)
    if hint is type(None):
        return value is None
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, h) for h in typing.get_args(hint))
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    base = origin or hint
    if base in (dict, Mapping):
        return isinstance(value, Mapping)
    if base in (list, tuple, Sequence):
        return isinstance(value, list | tuple)
    return True


def _spell(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_spell(h) for h in typing.get_args(hint))
    if origin is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    spelled = {float: "a number", int: "an integer", str: "text", bool: "true or false", type(None): "nothing"}
    if (base := typing.get_origin(hint) or hint) in (dict, Mapping, list, tuple, Sequence):
        return "a table" if base in (dict, Mapping) else "a list"
    return spelled.get(hint, getattr(hint, "__name__", str(hint)))


def with_elements(spec: Any, elements: Sequence[str]) -> Any:
    """``{ClassName: {arguments}}`` in which every class that needs ``elements`` and is not told them has these.

    Classes within the arguments of another have those of the outer one.
    """
    if isinstance(spec, list | tuple):
        return [with_elements(x, elements) for x in spec]
    if not isinstance(spec, Mapping):
        return spec
    found = {}
    for name, value in spec.items():
        inner = elements
        if (isinstance(value, Mapping) or value is True) and _names_a_class(str(name)):
            wanted = inspect.signature(find_class(name)).parameters.get("elements")
            value = {} if value is True else dict(value)
            if wanted is not None and wanted.default is inspect.Parameter.empty:
                value.setdefault("elements", list(elements))
            inner = value.get("elements") or elements
        found[name] = with_elements(value, inner)
    return found


def describe(thing: Any) -> Any:
    """Write an object down as ``{ClassName: {arguments}}``, the inverse of ``build``."""
    if isinstance(thing, Part):
        cls = type(thing)
        package, _, rest = cls.__module__.partition(".")
        found_by_name = package == __package__ and rest.split(".")[0] in ("potential", *_ROOMS)
        name = cls.__name__ if found_by_name else f"{cls.__module__}.{cls.__qualname__}"
        return {name: {key: describe(value) for key, value in thing.arguments.items()}}
    if isinstance(thing, Mapping):
        return {str(key): describe(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [describe(value) for value in thing]
    if hasattr(thing, "tolist"):
        return thing.tolist()
    return thing


def nearest(word: str, known) -> str:
    """``"; did you mean 'x'?"`` for the nearest of the known words, or nothing."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    if not match:
        folded = {k.lower(): k for k in known}
        match = [folded[m] for m in difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)]
    return f"; did you mean {match[0]!r}?" if match else ""
