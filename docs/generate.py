"""Write the reference pages: one for each room of the package, found by walking it, and the list of parts."""

import importlib
import pkgutil
from pathlib import Path

import adlayer
from adlayer.config import catalogue

HERE = Path(__file__).parent
CORE = ("structures", "neighbors", "graph", "potential", "descriptor", "config", "saving", "checks", "units")
SKIP = {"cli"}


def main() -> None:
    api = HERE / "api"
    api.mkdir(exist_ok=True)
    for old in api.glob("*.rst"):
        old.unlink()
    rooms = [m.name for m in pkgutil.iter_modules(adlayer.__path__) if m.ispkg and m.name not in SKIP]
    pages = ["core"]
    (api / "core.rst").write_text(page("The core", "", [f"adlayer.{name}" for name in CORE]))
    for room in rooms:
        package = importlib.import_module(f"adlayer.{room}")
        modules = [f"adlayer.{room}.{m.name}" for m in pkgutil.iter_modules(package.__path__)]
        if modules:
            (api / f"{room}.rst").write_text(page(room.capitalize(), (package.__doc__ or "").strip(), modules))
            pages.append(room)
    lines = ["Reference", "=========", "", ".. toctree::", "   :maxdepth: 1", "", "   parts"]
    (api / "index.rst").write_text("\n".join(lines + [f"   {p}" for p in pages]) + "\n")
    (api / "parts.rst").write_text(parts())


def page(title: str, text: str, modules: list[str]) -> str:
    lines = [title, "=" * len(title), "", text, ""]
    for name in modules:
        short = name.removeprefix("adlayer.")
        lines += [short, "-" * len(short), "", f".. automodule:: {name}", ""]
    return "\n".join(lines)


def parts() -> str:
    """What a recipe can name, by room, each with the first sentence of its docstring."""
    title = "What a recipe can name"
    lines = [title, "=" * len(title), ""]
    by_room: dict[str, list[type]] = {}
    for cls in catalogue().values():
        by_room.setdefault(cls.__module__.split(".")[1], []).append(cls)
    for room, classes in sorted(by_room.items()):
        lines += [room.capitalize(), "-" * len(room), ""]
        for cls in classes:
            first = (cls.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
            lines.append(f"* :class:`~{cls.__module__}.{cls.__name__}`: {' '.join(first.split())}")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
