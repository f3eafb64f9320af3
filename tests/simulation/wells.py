"""Systems whose statistics and motion are known exactly."""

import torch

from adlayer import Prediction, Structures
from adlayer.structures import sum_systems


class Harmonic:
    """Every atom bound to its own place: ``E = k |r - r0|² / 2``."""

    def __init__(self, places: torch.Tensor, k: float = 2.0):
        self.places, self.k, self.calls = places, k, 0

    def __call__(self, structures: Structures) -> Prediction:
        self.calls += 1
        r = structures.positions - self.places[: structures.n_atoms]
        return Prediction(sum_systems(0.5 * self.k * r.square().sum(-1), structures), -self.k * r)


class MuellerBrown:
    """One atom in the plane potential of Müller and Brown, Theor. Chim. Acta 53, 75 (1979), a hundredth as high."""

    MINIMA = ((-0.558223634, 1.441725842), (-0.050010823, 0.466694105), (0.623499405, 0.028037759))
    SADDLES = ((-0.822001558, 0.624312796), (0.212486582, 0.292988325))
    ENERGIES = {"minima": (-1.466995172, -0.807678187, -1.081667241), "saddles": (-0.406648432, -0.722489404)}

    def __init__(self):
        self.calls = 0

    def __call__(self, structures: Structures) -> Prediction:
        self.calls += structures.n_systems
        r = structures.positions
        x, y, z = r.unbind(-1)
        E, fx, fy = 0.5 * 20.0 * z**2, 0.0, 0.0
        for A, a, b, c, x0, y0 in (
            (-2.0, -1.0, 0.0, -10.0, 1.0, 0.0),
            (-1.0, -1.0, 0.0, -10.0, 0.0, 0.5),
            (-1.7, -6.5, 11.0, -6.5, -0.5, 1.5),
            (0.15, 0.7, 0.6, 0.7, -1.0, 1.0),
        ):
            dx, dy = x - x0, y - y0
            e = A * torch.exp(a * dx**2 + b * dx * dy + c * dy**2)
            E, fx, fy = E + e, fx - e * (2 * a * dx + b * dy), fy - e * (b * dx + 2 * c * dy)
        return Prediction(sum_systems(E, structures), torch.stack([fx, fy, -20.0 * z], dim=-1))

    @staticmethod
    def at(*points: tuple[float, float], beside: int = 0) -> Structures:
        """The atom at these points; beside it others, which tests fix, for a system without fixed atoms may drift."""
        from ase import Atoms

        others = [[0.1 * k, 0.5, 0.0] for k in range(beside)]
        return Structures.from_ase([Atoms(f"H{1 + beside}", [[x, y, 0.0], *others]) for x, y in points])


def atoms_at_rest(n_systems: int, n_atoms: int, symbol: str = "Si") -> Structures:
    from ase import Atoms

    frame = Atoms([symbol] * n_atoms, [[10.0 * k, 0, 0] for k in range(n_atoms)])
    return Structures.from_ase([frame] * n_systems)
