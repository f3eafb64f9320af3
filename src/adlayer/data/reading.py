"""Read data sets from the files people have, and write them so that nothing is ever half-written."""

from __future__ import annotations

import difflib
import glob
import gzip
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..config import nearest
from .conversion import Units, parse_units
from .dataset import Dataset
from .extxyz import format_extxyz, read_extxyz
from .labels import Keys, entries
from .outputs import read_ase, read_dpdata
from .sources import Frames, read_deepmd, read_n2p2, read_npz

Paths = str | os.PathLike | Iterable[str | os.PathLike]
_FOUND_IN_FOLDERS = (
    *("*.extxyz", "*.xyz", "*.extxyz.gz", "*.xyz.gz", "*.db", "*.npz", "*.traj", "*.gpw"),
    *("input.data", "input.data.gz", "OUTCAR", "OUTCAR.gz", "vasprun.xml", "vasprun.xml.gz", "*.castep", "type.raw"),
)


def read(
    path: Paths,
    keys: Keys | None = None,
    index: int | slice | str | None = None,
    *,
    units: str | Mapping[str, str] | Units | None = None,
    voigt: str = "xx yy zz yz xz xy",
    format: str | None = None,
    need: Iterable[str] = (),
) -> Dataset:
    """Read a file, several files, a folder, or a glob pattern into one ``Dataset``.

    The format is found by looking: extended XYZ (also .gz), ASE databases and trajectories, MD17/rMD17 npz, n2p2/RuNNer
    ``input.data``, DeePMD folders, outputs of VASP, CP2K, Quantum ESPRESSO, GPAW, CASTEP. Units other than eV and
    Å which a format is known for are converted, and ``info[k]["units"]`` says so.

    Args:
        path: a file, a folder (all data files in and below it), a glob pattern, or a list of these.
        keys: which entry is which label where looking is not enough: ``{"energy": "dft_energy", "stress": None}``; None
            ignores a label, a list gives an order of preference.
        index: which frames of each file: a number, a slice, or ASE's ``"::10"``.
        units: ``"metal"``, ``"atomic"``, ``"real"``, or per quantity: ``{"energy": "kcal/mol", "stress": "-kbar"}``.
        voigt: order of six-component stresses.
        format: extxyz, npz, n2p2, deepmd, ``dpdata:cp2k/output``, or a format of ASE; found by looking if None.
        need: labels every frame must have, such as ``("energy", "forces")``; the first frame without is an error.
    """
    whole = isinstance(path, str | os.PathLike) and str(format).startswith("dpdata:")  # which reads folders by itself
    files = [Path(path)] if whole and Path(path).is_dir() else find_files(path)
    loaded = [_load(p, format, index) for p in files]
    names = [{name for atoms in frames for name in entries(atoms)} for frames, _ in loaded]
    parts = [
        _dataset(p, frames, _keys_here(keys, here, set().union(*names)), said if units is None else units, voigt)
        for p, (frames, said), here in zip(files, loaded, names)
    ]
    return Dataset.cat(parts).require(*need)


def _keys_here(keys: Keys | None, here: set[str], anywhere: set[str]) -> Keys | None:
    """The keys for one of several files: a name that another file has need not be in this one."""
    wanted = {q: (names,) if isinstance(names, str) else tuple(names or ()) for q, names in (keys or {}).items()}
    return {q: [n for n in names if n in here or n not in anywhere] for q, names in wanted.items()}


def _dataset(path: Path, frames: list, keys: Keys | None, units, voigt: str) -> Dataset:
    dataset = Dataset.from_ase(frames, keys, units=parse_units(units), voigt=voigt, place=str(path))
    if units is not None and not isinstance(units, Units):
        _check_length(dataset, path, units)
        for info in dataset.info:
            info["units"] = f"{units if isinstance(units, str) else dict(units)}, converted to eV and Å"
    return dataset


def _load(path: Path, format: str | None, index: int | slice | str | None) -> Frames:
    """The chosen frames of one file, numbered, and the units they are known to be in."""
    frames, units = _load_all(path, format)
    if not frames:
        raise ValueError(f"{path} holds no frames")
    for k, atoms in enumerate(frames):
        atoms.info["frame"] = k
    chosen = frames[_slice(index)]
    if not chosen:
        raise ValueError(f"{path}: index {index!r} selects none of its {len(frames)} frames")
    return chosen, units


def _load_all(path: Path, format: str | None) -> Frames:
    format = format or find_format(path)
    if format.startswith("dpdata:"):
        return read_dpdata(path, format.removeprefix("dpdata:"))
    if format == "extxyz":
        return list(read_extxyz(path)), None
    readers = {"npz": read_npz, "n2p2": read_n2p2, "deepmd": read_deepmd}
    if format in readers:
        return readers[format](path)
    from ase.io.formats import ioformats

    if format != "ase" and format not in ioformats:
        known = ["extxyz", *readers, "dpdata:cp2k/output"]
        raise ValueError(f"{path}: no format {format!r}{nearest(format, known)}; {', '.join(known)}, or one of ASE's")
    return read_ase(path, None if format == "ase" else format)


def find_format(path: Path) -> str:
    """The format of a file or folder, from its name and its first lines."""
    if path.is_dir():
        return "deepmd"
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty")
    name = path.name.lower().removesuffix(".gz")
    by_name = {".extxyz": "extxyz", ".xyz": "extxyz", ".npz": "npz", ".db": "db", ".traj": "traj", ".gpw": "gpw"}
    by_name |= {"input.data": "n2p2", "vasprun.xml": "vasp-xml", ".castep": "castep-castep"}
    for end, format in by_name.items():
        if name.endswith(end):
            return format
    if name.startswith("outcar"):
        return "vasp-out"
    if path.suffix == ".gz":
        return "ase"
    with path.open("rb") as file:
        head = file.read(20000)
    marks = {b"CP2K|": "dpdata:cp2k/output", b"Program PWSCF": "espresso-out", b"\nbegin\n": "n2p2"}
    marks |= {b"vasp.": "vasp-out", b"CASTEP version": "castep-castep", b"Properties=species": "extxyz"}
    return next((f for mark, f in marks.items() if mark in b"\n" + head), "ase")


def find_files(path: Paths) -> list[Path]:
    """The files and DeePMD folders that a path, pattern, folder, or list of these means, sorted within each."""
    if not isinstance(path, str | os.PathLike):
        return [p for one in path for p in find_files(one)]
    text = os.path.expanduser(os.fspath(path))
    given = Path(text)
    if glob.has_magic(text) and not given.exists():
        if found := sorted(Path(p) for p in glob.glob(text, recursive=True)):
            return [p for one in found for p in find_files(one)]
        raise FileNotFoundError(f"no file matches {text}")
    if given.is_dir():
        found = {p.parent if p.name == "type.raw" else p for pattern in _FOUND_IN_FOLDERS for p in given.rglob(pattern)}
        if not found:
            raise FileNotFoundError(f"the folder {given} holds no data files ({', '.join(_FOUND_IN_FOLDERS)})")
        return sorted(found)
    if not given.exists():
        near = difflib.get_close_matches(given.name, os.listdir(given.parent) if given.parent.is_dir() else [], n=1)
        raise FileNotFoundError(
            f"there is no file {given}" + (f"; did you mean {given.parent / near[0]}?" if near else "")
        )
    return [given]


def _slice(index: int | slice | str | None) -> slice:
    if index is None or isinstance(index, slice):
        return index or slice(None)
    if isinstance(index, str):
        try:
            parts = [int(p) if p else None for p in index.split(":")]
        except ValueError:
            raise ValueError(f"index should be a number or 'start:stop:step', got {index!r}") from None
        if len(parts) > 1:
            return slice(*parts)
        index = parts[0] or 0
    return slice(index, index + 1 if index != -1 else None)


def _check_length(dataset: Dataset, path: Path, units: str | Mapping[str, str]) -> None:
    """Raise where the unit of length cannot be right: atoms at half their usual distances, or twice."""
    from .doctor.view import nearest_distances

    ratio = nearest_distances(dataset[: min(len(dataset), 20)].structures).median().item()
    if ratio < 0.7 or 1.65 < ratio < 2.3:
        wrong = "angstrom taken for Bohr" if ratio < 0.7 else "Bohr taken for angstrom"
        raise ValueError(
            f"{path}: in units {units!r} neighbors are {ratio:.2f} times as far apart as covalent radii say "
            f"({wrong}?); say units='metal' (eV, angstrom) or 'atomic' (Hartree, Bohr)"
        )


def write(path: str | os.PathLike, dataset: Dataset) -> Path:
    """Write a data set as extended XYZ (.extxyz, .xyz, also .gz) or an ASE database (.db).

    Energies, forces and stress in ASE's names and units, floats with all digits. The file appears when it is complete:
    a full disk or an interrupt leaves what was there before.
    """
    path = Path(path).expanduser()
    name = path.name.removesuffix(".gz")
    if not name.endswith((".extxyz", ".xyz", ".db")) or path.name.endswith(".db.gz"):
        raise ValueError(f"cannot write {path}: the name should end in .extxyz, .xyz (also .gz) or .db")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {path.parent}")
    frames = dataset.to_ase()
    for atoms in frames:
        for key, default in {"file": None, "frame": None, "weight": 1.0, "group": "", "units": None}.items():
            if default is None or atoms.info.get(key) == default:
                atoms.info.pop(key, None)
    handle, temporary = tempfile.mkstemp(
        prefix=f".{path.name}.", suffix=".db" if name.endswith(".db") else "", dir=path.parent
    )
    os.close(handle)
    try:
        (_write_db if name.endswith(".db") else _write_extxyz)(Path(temporary), frames, path.suffix == ".gz")
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, f"cannot write {path}: {error.strerror or error}; nothing was changed") from error
    finally:
        for leftover in (temporary, temporary + ".lock", temporary + "-journal"):
            if os.path.exists(leftover):
                os.unlink(leftover)
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write_extxyz(path: Path, frames: list, compressed: bool) -> None:
    with gzip.open(path, "wt") if compressed else open(path, "w") as file:
        for atoms in frames:
            file.write(format_extxyz(atoms))
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _write_db(path: Path, frames: list, compressed: bool) -> None:
    from ase.db import connect

    with connect(path, append=False) as db:
        for atoms in frames:
            scalars, data = {}, {n: x for n, x in atoms.arrays.items() if n not in db_columns}
            for key, value in atoms.info.items():
                simple = isinstance(value, int | float | bool) or (
                    isinstance(value, str) and not _looks_like_number(value)
                )
                (scalars if simple and key.isidentifier() and key not in db_reserved else data)[key] = value
            db.write(atoms, key_value_pairs=scalars, data=data)


db_columns = ("numbers", "positions", "tags", "momenta", "masses", "initial_charges", "initial_magmoms")
db_reserved = ("id", "charge", "energy", "mass", "magmom", "name", "age", "user", "natoms", "calculator", "formula")


def _looks_like_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in ("True", "False", "")
    return True
