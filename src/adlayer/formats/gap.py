"""GAP files as ``gap_fit`` writes them: one XML file, and a file of sparse points beside it for each covariance.

Facts that are not in the files: ``signal_variance`` is a standard deviation; pairs count from both ends and neighbors
in both orders; SOAP vectors carry ``covariance_sigma0`` as one more number; files of sparse points hold one number per
line.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import torch
from ase.data import atomic_numbers, chemical_symbols

from ..potential import Potential, ReferenceEnergies, Sum
from ..potentials.environment_gp import EnvironmentGP
from ..potentials.gap import GAP, PairGP, TripletGP
from ..potentials.sparse_kernel import SparseKernel
from ..saving import atomic
from .gap_environments import is_true, read_environments, write_environments

_SQUARED_EXPONENTIAL, _DOT_PRODUCT = "1", "2"
_ENVIRONMENTS = ("soap", "soap_turbo")


def recognizes(path: str | Path) -> bool:
    """Whether a file is a GAP's XML."""
    path = Path(path)
    if not path.is_file() or path.suffix != ".xml":
        return False
    with open(path, errors="replace") as file:
        return "<GAP_params" in file.read(2000)


def read(path: str | Path) -> Potential:
    """Read a GAP: the sum of its covariances (``distance_2b``, ``angle_3b``, ``soap``, ``soap_turbo``) and energies.

    Args:
        path: the XML file; files of sparse points are looked for beside it.
    """
    path = Path(path)
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is not XML: {error}") from None
    if (data := root.find(".//GAP_data")) is None or not (coordinates := root.findall(".//gpCoordinates")):
        raise ValueError(f"{path} holds no GAP_data with gpCoordinates; expected a potential written by gap_fit")
    if is_true(data.get("do_core", "F")):
        raise ValueError(
            f"{path} adds a core potential of another format, which is not read; add it to the GAP by hand"
        )
    read_in = [_Coordinate(x, path) for x in coordinates]
    families: dict[tuple, list[_Coordinate]] = {}
    for c in read_in:
        families.setdefault(c.family, []).append(c)
    parts = [_KINDS[family[0]](cs) for family, cs in families.items()]
    numbers = sorted({z for c in read_in for z in c.numbers})
    e0 = {int(x.get("Z")): float(x.get("value")) for x in data.findall("e0")}
    energies = ReferenceEnergies({chemical_symbols[z]: e0.get(z, 0.0) for z in numbers})
    return Sum([energies, *parts])


class _Coordinate:
    """One covariance of the file, of one pair, triplet or center."""

    def __init__(self, x: ElementTree.Element, path: Path):
        kind, *words = re.findall(r"[\w]+\s*=\s*\{[^}]*\}|\S+", x.findtext("descriptor", "").strip())
        self.settings = {k.strip().lower(): v.strip(" {}") for k, _, v in (w.partition("=") for w in words if "=" in w)}
        if kind not in _KINDS:
            raise ValueError(f"{path} uses the descriptor {kind!r}; those read here are {', '.join(_KINDS)}")
        environments = kind in _ENVIRONMENTS
        wanted = _DOT_PRODUCT if environments else _SQUARED_EXPONENTIAL
        if x.get("covariance_type") != wanted:
            raise ValueError(
                f"{path}: {kind} has covariance type {x.get('covariance_type')}; read are squared exponentials (1) of "
                f"distance_2b and angle_3b and dot products (2) of soap and soap_turbo"
            )
        self.kind, self.path = kind, path
        self.delta, self.zeta = float(x.get("signal_variance")), float(x.get("zeta", 1))
        if float(x.get("signal_mean", 0)):
            raise ValueError(f"{path}: {kind} has a signal_mean other than 0, which is not read")
        points = x.findall("sparseX")
        self.alpha = torch.tensor([float(p.get("alpha")) for p in points], dtype=torch.float64)
        self.fade = torch.tensor([float(p.get("sparseCutoff", 1)) for p in points], dtype=torch.float64)
        self.points = torch.from_numpy(self._points(x, points)).reshape(len(points), int(x.get("dimensions")))
        self.theta = torch.tensor([float(t) for t in x.findtext("theta", "").split()], dtype=torch.float64)
        species = self.get("species_z", "") if environments else ""
        self.species = [int(z) for z in species.split()]
        names = {"distance_2b": ("z1", "z2"), "angle_3b": ("z", "z1", "z2"), "soap": ("z",), "soap_turbo": ()}[kind]
        self.places = [int(self.get(n, self.get("z_center", "0") if n == "z" else "0")) for n in names]
        if kind == "soap_turbo":
            self.places = [self.species[int(self.get("central_index", "1")) - 1]]
        self.numbers = {*self.places, *self.species}
        if 0 in self.numbers:
            raise ValueError(f"{path}: {kind} is for any element; name them when fitting (add_species)")

    def _points(self, x: ElementTree.Element, points: list[ElementTree.Element]) -> np.ndarray:
        if (name := x.get("sparseX_filename")) is None:
            return np.array([float(v) for p in points for v in (p.text or "").split()])
        file = self.path.parent / name
        if not file.is_file():
            raise FileNotFoundError(f"{self.path} keeps its sparse points in {name}, which is not beside it")
        return np.loadtxt(file, ndmin=1)

    def get(self, name: str, default: str) -> str:
        return self.settings.get(name, default)

    def number(self, name: str, default: float) -> float:
        return float(self.get(name, str(default)))

    @property
    def family(self) -> tuple:
        """Coordinates of one family are groups of one part."""
        ignored = {
            "z",
            "z1",
            "z2",
            "z_center",
            "central_index",
            "n_sparse",
            "theta_fac",
            "sparse_file",
            "config_type_n_sparse",
        }
        rest = tuple(sorted((k, v) for k, v in self.settings.items() if k not in ignored))
        return self.kind, self.delta, self.zeta, rest


def _pairs(cs: list[_Coordinate]) -> PairGP:
    elements = _elements(cs)
    part = PairGP(elements, **_common(cs[0]))
    return _fill(part, cs, [int(part.pair[a, b]) for a, b in _places(cs, elements)])


def _triplets(cs: list[_Coordinate]) -> TripletGP:
    elements = _elements(cs)
    part = TripletGP(elements, **_common(cs[0]))
    return _fill(part, cs, [int(part.triple[c, a, b]) for c, a, b in _places(cs, elements)])


def _environments(cs: list[_Coordinate]) -> EnvironmentGP:
    c = cs[0]
    elements = [chemical_symbols[z] for z in c.species]
    if any(z not in c.species for x in cs for z in x.places):
        raise ValueError(f"{c.path}: {c.kind} has a center that is not among its species_Z")
    try:
        descriptor = read_environments(c.kind, c.settings)
    except ValueError as error:
        raise ValueError(f"{c.path}: {error}") from None
    part = EnvironmentGP(
        elements, descriptor=descriptor, n_sparse=1, delta=c.delta, zeta=c.zeta, normalize=False, jitter=1e-10
    )
    for x in cs:
        x.points = x.points[:, : part.points.shape[1]]
    return _fill(part, cs, [elements.index(chemical_symbols[x.places[0]]) for x in cs])


_KINDS = {"distance_2b": _pairs, "angle_3b": _triplets, "soap": _environments, "soap_turbo": _environments}


def _common(c: _Coordinate) -> dict:
    return {
        "cutoff": c.number("cutoff", 0),
        "transition": c.number("cutoff_transition_width", 0.5),
        "delta": c.delta,
        "n_sparse": 1,
    }


def _fill(part: SparseKernel, cs: list[_Coordinate], groups: list[int]) -> SparseKernel:
    """Set points, weights and lengths of each group; groups that the file does not know have none."""
    empty = part.points.new_zeros(0, part.points.shape[1])
    of = dict(zip(groups, cs))
    here = [of.get(g) for g in range(part.n_groups)]
    part.place([c.points if c else empty for c in here], torch.cat([c.alpha for c in here if c]))
    part.fade = torch.cat([c.fade for c in here if c])
    for g, c in of.items():
        if len(c.theta):
            part.theta[g] = c.theta
    return part


def _elements(cs: list[_Coordinate]) -> list[str]:
    return [chemical_symbols[z] for z in sorted({z for c in cs for z in c.places})]


def _places(cs: list[_Coordinate], elements: list[str]) -> list[list[int]]:
    return [[elements.index(chemical_symbols[z]) for z in c.places] for c in cs]


def write(path: str | Path, potential: Potential) -> None:
    """Write a GAP for QUIP: the XML file, and files of sparse points beside it.

    Args:
        path: the XML file.
        potential: ``GAP``, ``PairGP``, ``TripletGP``, ``EnvironmentGP`` of ``SOAP`` or
            ``TurboSOAP``, ``ReferenceEnergies``, or a sum.
    """
    path, parts = Path(path), _parts_of(potential)
    if wrong := [p for p in parts if not isinstance(p, PairGP | TripletGP | EnvironmentGP | ReferenceEnergies)]:
        raise TypeError(f"a GAP file holds Gaussian processes and reference energies, not {type(wrong[0]).__name__}")
    if any(isinstance(p, PairGP) and p.fades != "cosine" for p in parts):
        raise TypeError("a GAP file holds pairs that fade by a cosine, and these fade quadratically; see tabulate")
    if not (kernels := [p for p in parts if isinstance(p, SparseKernel)]):
        raise TypeError("a GAP file needs a PairGP, TripletGP or EnvironmentGP")
    energies = {e: 0.0 for p in kernels for e in p.elements}
    for p in parts:
        if isinstance(p, ReferenceEnergies):
            for e, x in zip(p.elements, p.energies.tolist()):
                energies[e] = energies.get(e, 0.0) + x
    label = path.name.split(".")[0]
    root = ElementTree.Element(label)
    ElementTree.SubElement(root, "Potential", label=label, init_args=f"IP GAP label={label}")
    params = ElementTree.SubElement(root, "GAP_params", label=label, gap_version="1769700636")
    data = ElementTree.SubElement(params, "GAP_data", do_core="F")
    for e, x in sorted(energies.items(), key=lambda ex: atomic_numbers[ex[0]]):
        ElementTree.SubElement(data, "e0", Z=str(atomic_numbers[e]), value=repr(x))
    found = [c for p in kernels for c in _coordinates(p)]
    sparse = ElementTree.SubElement(params, "gpSparse", label=label, n_coordinate=str(len(found)), fitted="T")
    for k, (part, group, kind, settings) in enumerate(found, start=1):
        of = (part.group == group).nonzero().flatten().tolist()
        points = part.points.double()[of].numpy()
        if kind == "soap" and not part.descriptor.offset:
            points = np.concatenate([points, np.zeros((len(points), 1))], 1)
        name = f"{path.name}.sparseX.{k}"
        with atomic(path.parent / name) as temporary:
            np.savetxt(temporary, points.reshape(-1), fmt="%.17e")
        attributes = {
            "label": f"{label}{k}",
            "dimensions": points.shape[1],
            "signal_variance": repr(float(part.delta)),
            "signal_mean": "0.0",
            "sparsified": "T",
            "n_permutations": 1,
            "covariance_type": _DOT_PRODUCT if kind in _ENVIRONMENTS else _SQUARED_EXPONENTIAL,
            **({"zeta": repr(float(part.zeta))} if kind in _ENVIRONMENTS else {}),
            "n_sparseX": len(of),
            "sparseX_filename": name,
        }
        x = ElementTree.SubElement(sparse, "gpCoordinates", {key: str(value) for key, value in attributes.items()})
        if kind not in _ENVIRONMENTS:
            ElementTree.SubElement(x, "theta").text = " ".join(map(repr, part.theta[group].tolist()))
        ElementTree.SubElement(x, "descriptor").text = f"{kind} {settings}"
        ElementTree.SubElement(x, "permutation", i="1").text = " ".join(map(str, range(1, points.shape[1] + 1)))
        for i, (alpha, fade) in enumerate(zip(part.alpha[of].tolist(), part.fade[of].tolist()), start=1):
            ElementTree.SubElement(x, "sparseX", i=str(i), alpha=repr(alpha), sparseCutoff=repr(fade))
    ElementTree.indent(root)
    with atomic(path) as temporary:
        ElementTree.ElementTree(root).write(temporary)


def _parts_of(potential: Potential) -> list[Potential]:
    if isinstance(potential, GAP):
        return [*potential.sum.parts]
    return [p for q in potential.parts for p in _parts_of(q)] if isinstance(potential, Sum) else [potential]


def _coordinates(part: SparseKernel) -> list[tuple[SparseKernel, int, str, str]]:
    """The groups of a part that have points, with QUIP's name and settings of each."""
    Z, found = [atomic_numbers[e] for e in part.elements], {}
    if isinstance(part, EnvironmentGP):
        found = dict(enumerate(write_environments(part.descriptor, part.normalize)))
    else:
        common = f"cutoff={part.cutoff!r} cutoff_transition_width={part.transition!r}"
        for a in range(len(Z)):
            for b in range(a, len(Z)):
                if isinstance(part, PairGP):
                    found[int(part.pair[a, b])] = "distance_2b", f"{common} Z1={Z[a]} Z2={Z[b]}"
                for c in range(len(Z) if isinstance(part, TripletGP) else 0):
                    found[int(part.triple[c, a, b])] = "angle_3b", f"{common} Z={Z[c]} Z1={Z[a]} Z2={Z[b]}"
    present = set(part.group.tolist())
    return [(part, g, *words) for g, words in sorted(found.items()) if g in present]
