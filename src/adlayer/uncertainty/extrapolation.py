"""How far a potential extrapolates: the grade of D-optimality.

E. V. Podryabinkin and A. V. Shapeev, Comput. Mater. Sci. 140, 171 (2017); for the atomic cluster expansion: Y.
Lysogorskiy et al., Phys. Rev. Mater. 7, 043801 (2023).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..graph import Graph
from ..nn.maxvol import ActiveSet
from ..potential import Potential, ReferenceEnergies, Species, Sum
from ..structures import Structures, chunks
from .calibration import calibrate
from .doubtful import DoubtsAtoms
from .uncertainty import Uncertainty

if TYPE_CHECKING:
    from ..data import Dataset
    from ..fitting import Fit


class Extrapolating(DoubtsAtoms):
    """A potential whose doubt about an atom is its extrapolation grade ``gamma_i = max_k |b_i A^-1|_k``.

    ``b_i`` is what the atom's energy is linear in (of a cluster expansion with an embedding: its invariants), ``A`` as
    many known environments of its element as these have components, those of largest volume. Where ``gamma <= 1`` the
    energy is a combination of known ones with coefficients up to 1; beyond it is extrapolated. Of cluster expansions
    fitted to surfaces and defects alike, grades up to about 5 were harmless, those above 25 not reliable.

    Args:
        potential: what it predicts: linear, or a cluster expansion.
        size: the largest number of components that environments of an element have.
    """

    small = {
        "potential": {"ACE": {"elements": ["Si", "H", "Cu", "O"], "cutoff": 4.0, "order": 2, "degree": 4.0, "pair": 2}},
        "size": 2,
    }

    def __init__(self, potential: Potential | Mapping | str, size: int):
        super().__init__()
        self.potential = self._take(potential)
        self.species, E = Species(self.elements), len(self.elements)
        double = {"dtype": torch.float64, "device": self.potential.device}
        self.register_buffer("limit", torch.ones(_n_components(self.potential), **double))  # see ``ActiveSet``
        self.register_buffer("columns", torch.full((E, size), -1, device=self.potential.device))  # -1: none
        self.register_buffer("inverse", torch.zeros(E, size, size, **double))

    @staticmethod
    def of(potential: Potential, sets: Mapping[int, ActiveSet]) -> Extrapolating:
        """With the active set of each element, by its place among them."""
        graded = Extrapolating(potential, max(len(s.columns) for s in sets.values()))
        for e, s in sets.items():
            n = len(s.columns)
            graded.limit.copy_(torch.from_numpy(s.limit))
            graded.columns[e, :n] = torch.from_numpy(s.columns)
            graded.inverse[e, :n, :n] = torch.from_numpy(np.linalg.inv(s.A))
        return graded

    def sets(self) -> dict[int, ActiveSet]:
        """The active set of each element."""
        found = {}
        for e in range(len(self.elements)):
            columns = self.columns[e][self.columns[e] >= 0].cpu().numpy()
            A = np.linalg.inv(self.inverse[e, : len(columns), : len(columns)].cpu().numpy())
            found[e] = ActiveSet(self.limit.cpu().numpy(), columns, A)
        return found

    def _apply(self, fn: Callable, recurse: bool = True) -> Extrapolating:
        double = {name: self._buffers[name] for name in ("limit", "inverse")}
        super()._apply(fn, recurse)
        for name, x in double.items():  # an inverse does not survive single precision
            self._buffers[name] = x.to(self._buffers[name].device)
        return self

    def doubt(self, graph: Graph) -> Float[Tensor, "atoms"]:
        return self.grades(graph)

    def grades(self, where: Graph | Structures) -> Float[Tensor, "atoms"]:
        """``gamma`` of each atom, whatever the calibration; that of a structure is the largest of its atoms."""
        graph = Graph.of(where, self.cutoff) if isinstance(where, Structures) else where
        z, x = self.species(graph.numbers), projections(self.potential, graph) / self.limit
        gamma = x.new_zeros(len(x))
        for e in z.unique().tolist():
            columns, of = self.columns[e][self.columns[e] >= 0], x[z == e]
            of[:, columns] = of[:, columns] @ self.inverse[e, : len(columns), : len(columns)]
            gamma[z == e] = of.abs().amax(1)
        return gamma

    def choose(self, structures: Structures, n: int, tolerance: float = 1.001) -> list[int]:
        """At most ``n`` structures to learn from: each next has the largest grade where those before it are known.

        There are fewer if then no grade is above ``tolerance``.
        """
        b, z, system = _rows(self.potential, structures, self.species)
        sets, chosen = self.sets(), []
        while len(chosen) < n and len(z):
            gamma = np.zeros(len(z))
            for e in np.unique(z):
                gamma[z == e] = sets[e].grades(b[z == e])
            if gamma.max() <= tolerance:
                break
            chosen.append(int(system[gamma.argmax()]))
            for e in np.unique(z):
                sets[e].learn(b[(z == e) & (system == chosen[-1])], tolerance)
        return chosen


class ExtrapolationGrade(Uncertainty):
    """One fit, and doubt by how far environments are from those in it: for linear potentials and cluster expansions.

    Args:
        tolerance: grade that environments of the training set may have; the nearer to 1, the longer it takes.
        floor: directions in which environments vary by less than this part of the largest component do not count.
        calibrated: scale the grades so that held-out errors are most likely under them as standard deviations; else
            they are given as they are.
        passes: how often the training set is gone through where it does not fit into memory at once.
    """

    def __init__(self, tolerance: float = 1.001, floor: float = 1e-6, calibrated: bool = True, passes: int = 2):
        if not tolerance > 1 or not 0 < floor < 1:
            raise ValueError(f"tolerance must be above 1 and floor between 0 and 1, got {tolerance} and {floor}")
        self.tolerance, self.floor, self.calibrated, self.passes = tolerance, floor, calibrated, passes

    def fit(
        self,
        potential: Potential,
        train: Dataset,
        valid: Dataset | None = None,
        method: Fit | None = None,
        *,
        folder: Path | None = None,
        progress: Callable[[int, int, str], None] | None = None,
        seed: int = 0,
    ) -> Extrapolating:
        from ..fitting import fit

        fitted = fit(potential, train, valid, method, folder=folder, progress=progress, seed=seed).potential
        graded = Extrapolating.of(fitted, self.active(fitted, train.structures))
        if self.calibrated and valid is not None and len(valid):
            calibrate(graded, valid)
        return graded

    def active(self, potential: Potential, structures: Structures, memory: int = 250_000_000) -> dict[int, ActiveSet]:
        """The active set of each element that structures hold.

        Args:
            potential: whose components count.
            structures: what is known.
            memory: for the components of environments at a time, bytes.
        """
        species = Species(potential.elements)
        atoms = max(1, memory // (8 * _n_components(potential)))
        parts = [structures[list(chunk)] for chunk in chunks(structures, atoms)]
        scale = np.max([np.abs(_rows(potential, part, species)[0]).max(0) for part in parts], 0)
        limit = self.floor * np.where(scale > 0, scale, np.median(scale[scale > 0]) if scale.any() else 1.0)
        sets: dict[int, ActiveSet] = {}
        for part in parts if len(parts) == 1 else parts * self.passes:
            b, z, _ = _rows(potential, part, species)
            for e in np.unique(z):
                sets.setdefault(int(e), ActiveSet.empty(limit)).learn(b[z == e], self.tolerance)
        return sets


def projections(potential: Potential, graph: Graph) -> Float[Tensor, "atoms K"]:
    """What atoms are built of, of all parts that have such rows, in double precision; reference energies left out."""
    parts = potential.parts if isinstance(potential, Sum) else [potential]
    rows = [
        projections(p, graph.within(p.cutoff))
        if isinstance(p, Sum)
        else p.projections(graph.within(p.cutoff)).detach().double()
        for p in parts
        if not isinstance(p, ReferenceEnergies) and (p.linear or type(p).projections is not Potential.projections)
    ]
    if not rows:
        raise ValueError(
            f"{type(potential).__name__} is not linear in its parameters, so that it has no extrapolation grade; "
            f"FeatureDistance is for any potential"
        )
    return torch.cat(rows, 1)


def _n_components(potential: Potential) -> int:
    """How many components rows have."""
    from ase import Atoms

    atom = Structures.from_ase(Atoms(potential.elements[:1])).to(potential.device)
    return projections(potential, Graph.of(atom, potential.cutoff)).shape[1]


def _rows(
    potential: Potential, structures: Structures, species: Species
) -> tuple[Float[np.ndarray, "atoms K"], np.ndarray, np.ndarray]:
    """Rows, element and structure of all atoms."""
    structures = structures.to(potential.device)
    graph = Graph.of(structures, potential.cutoff)
    b = projections(potential, graph)
    z = species.to(structures.device)(structures.numbers)
    return tuple(x.cpu().numpy() for x in (b, z, structures.system))
