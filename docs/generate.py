"""Write the reference pages: one for each room of the package, found by walking it, and the list of parts."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import adlayer
from adlayer.config import catalogue

HERE = Path(__file__).parent
CORE = (
    "structures",
    "neighbors",
    "graph",
    "potential",
    "descriptor",
    "config",
    "saving",
    "tabulation",
    "checks",
    "units",
)
SKIP = {"cli"}


def main() -> None:
    api = HERE / "api"
    api.mkdir(exist_ok=True)
    for old in api.glob("*.rst"):
        old.unlink()
    pages = {"core": page("Core", "What everything else stands on.", [f"adlayer.{name}" for name in CORE])}
    for room in (m.name for m in pkgutil.iter_modules(adlayer.__path__) if m.ispkg and m.name not in SKIP):
        package = importlib.import_module(f"adlayer.{room}")
        if modules := modules_of(package):
            pages[room] = page(title(room), (package.__doc__ or "").strip(), modules)
    pages |= {"top": top(), "parts": parts()}
    order = ["top", "parts", "core", *(name for name in pages if name not in ("top", "parts", "core"))]
    pages["index"] = "\n".join(
        [*heading("Reference"), ".. toctree::", "   :maxdepth: 1", "", *(f"   {p}" for p in order)]
    )
    for name, text in pages.items():
        (api / f"{name}.rst").write_text(text + "\n", encoding="utf-8")


def modules_of(package) -> list[str]:
    """The modules below a package, those of packages within it too."""
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [m.name for m in found if not m.ispkg]


def title(room: str) -> str:
    return {"nn": "Shared mathematics"}.get(room, room.capitalize())


def heading(text: str, under: str = "=") -> list[str]:
    return [text, under * len(text), ""]


def page(name: str, text: str, modules: list[str]) -> str:
    lines = [*heading(name), text, ""]
    for module in modules:
        lines += [*heading(module.removeprefix("adlayer."), "-"), f".. automodule:: {module}", ""]
    return "\n".join(lines)


def top() -> str:
    """What ``import adlayer`` gives, each with its first sentence."""
    lines = [*heading("What import adlayer gives"), (adlayer.__doc__ or "").strip(), ""]
    for name in adlayer.__all__:
        if not name.startswith("_"):
            thing = getattr(adlayer, name)
            role = "class" if inspect.isclass(thing) else "func"
            lines.append(f"* :{role}:`adlayer.{name} <{thing.__module__}.{name}>`: {summary(thing)}")
    return "\n".join(lines)


def parts() -> str:
    """What a recipe can name, by room, each with the first sentence of its docstring."""
    lines = [*heading("What a recipe can name"), "Each with its arguments: ``adlayer show NAME``.", ""]
    by_room: dict[str, list[type]] = {}
    for cls in catalogue().values():
        by_room.setdefault(cls.__module__.split(".")[1], []).append(cls)
    for room, classes in sorted(by_room.items()):
        lines += heading(title(room), "-")
        lines += [f"* :class:`~{c.__module__}.{c.__name__}`: {summary(c)}" for c in classes] + [""]
    return "\n".join(lines)


def summary(thing) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())


if __name__ == "__main__":
    main()
