"""Particles cut from a crystal in their equilibrium shape, free or on a support."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from ase import Atoms

from .contacts import bonds
from .generator import Generator, Made, crystal
from .symmetry import orbits, primitive_lattice
from .wulff import Energies, Polyhedron, miller, wulff_shape


@dataclass(frozen=True)
class Wulff(Generator):
    """A particle in the shape of least surface energy, of any crystal and with any list of facets.

    Facets are those given and all that the symmetry of the crystal makes of them. Among particles of about the size
    that is asked for, centered on atoms, bonds and holes, the one with the fewest broken bonds for its size is taken.

    Args:
        of: formula, file, or name of an earlier crystal.
        energies: surface energy of each family of facets, such as ``{ 111 = 1.28, 100 = 1.44 }``, in any one unit.
        atoms: about how many.
        tolerance: by what fraction their number may differ.
        stoichiometric: whether the composition must be that of the crystal.
        a: lattice constant, Å; default: the experimental one.
        structure: crystal structure of a formula, as ASE names it.
    """

    of: str
    energies: dict[str, float]
    atoms: int
    tolerance: float = 0.1
    stoichiometric: bool = False
    a: float | None = None
    structure: str | None = None

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        whole = crystal(self.of, made, self.structure, self.a)
        return [wulff_particle(whole, self.energies, self.atoms, self.tolerance, self.stoichiometric)]


@dataclass(frozen=True)
class Winterbottom(Generator):
    """A particle in the shape it has on a support: Wulff's, with the contact facet at ``γ - W`` and facing down.

    Args:
        of: formula, file, or name of an earlier crystal.
        energies: surface energy of each family of facets, in any one unit.
        contact: Miller indices of the facet that lies on the support.
        adhesion: work of adhesion, in the unit of the energies; less than twice the energy of the contact facet.
        atoms: about how many.
        tolerance: by what fraction their number may differ.
        stoichiometric: whether the composition must be that of the crystal.
        a: lattice constant, Å; default: the experimental one.
        structure: crystal structure of a formula, as ASE names it.
    """

    of: str
    energies: dict[str, float]
    contact: list[int]
    adhesion: float
    atoms: int
    tolerance: float = 0.1
    stoichiometric: bool = False
    a: float | None = None
    structure: str | None = None

    def __call__(self, made: Made, rng: np.random.Generator) -> list[Atoms]:
        whole = crystal(self.of, made, self.structure, self.a)
        shape = wulff_shape(whole, self.energies, self.contact, self.adhesion)
        cut = cut_particle(whole, shape, self.atoms, self.tolerance, self.stoichiometric)
        return [facet_down(cut, np.linalg.inv(np.asarray(whole.cell)) @ miller(self.contact))]


def wulff_particle(
    crystal: Atoms, energies: Energies, atoms: int, tolerance: float = 0.1, stoichiometric: bool = False
) -> Atoms:
    """A free particle; see ``Wulff``. Its axes are those of the crystal."""
    return cut_particle(crystal, wulff_shape(crystal, energies), atoms, tolerance, stoichiometric)


def cut_particle(
    crystal: Atoms, shape: Polyhedron, atoms: int, tolerance: float = 0.1, stoichiometric: bool = False
) -> Atoms:
    """The particle of a given shape and of about so many atoms with the fewest broken bonds for its size.

    Least is ``(Σ Z_i - 2 B) / N^(2/3)``, with ``Z_i`` the bonds that atom ``i`` has in the crystal and ``B`` those in
    the particle.
    """
    if atoms < 1:
        raise ValueError(f"a particle needs one atom or more, got {atoms}")
    scale = (atoms * crystal.get_volume() / len(crystal) / shape.volume) ** (1 / 3)
    sizes = scale * np.linspace((1 - tolerance) ** (1 / 3) - 0.15 / atoms ** (1 / 3), (1 + tolerance) ** (1 / 3), 25)
    sizes = np.append(sizes, scale * (1 + np.linspace(0.02, 0.3, 8) / atoms ** (1 / 3)) * (1 + tolerance) ** (1 / 3))
    centers = _centers(crystal)
    block, site = _block(crystal, centers, sizes.max() * shape.vertices)
    i, j, _ = bonds(block)
    full = np.bincount(bonds(crystal)[0], minlength=len(crystal))[site]
    best, least = None, np.inf
    seen: list[int] = []
    for center in centers:
        depth = (block.positions - center) @ shape.normals.T
        for size in sizes:
            inside = (depth <= size * shape.distances + 1e-6).all(1)
            n = int(inside.sum())
            seen.append(n)
            if not n or abs(n - atoms) > tolerance * atoms:
                continue
            if stoichiometric and not _same_composition(block.numbers[inside], crystal.numbers):
                continue
            broken = (full[inside].sum() - (inside[i] & inside[j]).sum()) / n ** (2 / 3)
            if (round(broken, 9), abs(n - atoms)) < (least, abs(len(best) - atoms) if best else 0):
                best, least = block[inside], round(broken, 9)
    if best is None:
        near = sorted(set(seen) - {0}, key=lambda n: abs(n - atoms))[:4]
        what = "of the crystal's composition " if stoichiometric else ""
        raise ValueError(
            f"no particle {what}has {atoms} atoms within {tolerance:.0%}; sizes near are {', '.join(map(str, near))}"
        )
    best.positions -= best.positions.mean(0)
    best.info["group"] = "particle"
    return best


def facet_down(particle: Atoms, normal: np.ndarray) -> Atoms:
    """A copy turned so that ``normal`` points down, and shifted so that its lowest atom is at height 0."""
    turned = particle.copy()
    turned.rotate(normal, (0, 0, -1), center=(0, 0, 0))
    turned.positions[:, 2] -= turned.positions[:, 2].min()
    turned.positions[:, :2] -= turned.positions[:, :2].mean(0)
    turned.info["contact"] = [0.0, 0.0, -1.0]
    return turned


def _centers(crystal: Atoms) -> np.ndarray:
    """Where a particle may be centered: on each kind of atom, and half and a quarter of the lattice's vectors away."""
    halves = np.array([*product((0, 0.5), repeat=3), *product((0.25, 0.75), repeat=3)])
    label = orbits(crystal)
    sites = [crystal.positions[label == k][0] for k in range(label.max() + 1)]
    return np.concatenate([site + halves @ primitive_lattice(crystal) for site in sites])


def _block(crystal: Atoms, centers: np.ndarray, corners: np.ndarray) -> tuple[Atoms, np.ndarray]:
    """All atoms of the crystal near a body about any of the centers, and which of the cell's atoms each is."""
    f = (centers[:, None] + corners).reshape(-1, 3) @ np.linalg.inv(np.asarray(crystal.cell))
    low, high = np.floor(f.min(0)).astype(int) - 1, np.ceil(f.max(0)).astype(int) + 1
    grid = np.stack(np.meshgrid(*[np.arange(a, b + 1) for a, b in zip(low, high)], indexing="ij"), -1).reshape(-1, 3)
    positions = (crystal.positions + (grid @ np.asarray(crystal.cell))[:, None]).reshape(-1, 3)
    reach = np.linalg.norm(corners, axis=1).max() + np.linalg.norm(centers - centers.mean(0), axis=1).max() + 0.1
    keep = np.linalg.norm(positions - centers.mean(0), axis=1) < reach
    site = np.tile(np.arange(len(crystal)), len(grid))[keep]
    return Atoms(crystal.numbers[site], positions[keep]), site


def _same_composition(numbers: np.ndarray, of: np.ndarray) -> bool:
    return all(np.sum(numbers == z) * len(of) == np.sum(of == z) * len(numbers) for z in set(of))
