"""A new potential is one class with one method; forces, stress, fits, dynamics and every law come with it."""

import torch
from ase.build import bulk

from adlayer import Dataset, Evaluator, Graph, PerAtom, Potential, check_potential, fit
from adlayer.fitting import GradientDescent
from adlayer.graph import sum_edges
from adlayer.nn.cutoffs import polynomial_cutoff
from adlayer.potentials.morse import Morse
from adlayer.potentials.zbl import ZBL


class BornMayer(Potential):
    """``V(r) = A exp(-r / rho) - C / r^6``, taken smoothly to zero at the cutoff; half of it to either atom.

    Args:
        A: eV.
        rho: Å.
        C: eV Å^6.
        cutoff: Å.
    """

    small = {"A": 800.0, "rho": 0.35, "C": 20.0, "cutoff": 5.0}  # what checks and documentation build

    def __init__(self, A: float, rho: float, C: float = 0.0, cutoff: float = 6.0):
        super().__init__()
        self.cutoff = cutoff
        for name, value in (("A", A), ("rho", rho), ("C", C)):
            setattr(self, name, torch.nn.Parameter(torch.tensor(value, dtype=torch.float64)))

    def forward(self, graph: Graph) -> PerAtom:
        r = graph.lengths
        V = (self.A * torch.exp(-r / self.rho) - self.C / r**6) * polynomial_cutoff(r, self.cutoff)
        return PerAtom(0.5 * sum_edges(V, graph))


# Every law, in one call: rotation, stress, second derivatives, small cells, all kinds of periodicity, saving ...
outcomes = check_potential(BornMayer)
print(f"{len(outcomes)} laws hold, from {outcomes[0].law!r} to {outcomes[-1].law!r}")

# The same class is fitted like any other: here to what a Morse potential says of strained and rattled copper.
frames = []
for k in range(20):
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(atoms.cell * (0.97 + 0.003 * k), scale_atoms=True)
    atoms.rattle(0.05, seed=k)
    frames.append(atoms)
structures = Dataset.from_ase(frames).structures
data = Dataset(structures, Evaluator(Morse(cutoff=6.0))(structures))  # a prediction is a label is a reference result
method = GradientDescent(optimizer="lbfgs", epochs=40, energies="none")
fitted = fit(BornMayer(A=800.0, rho=0.35, C=300.0), data, method=method)
A, rho, C = (x.item() for x in fitted.potential.parameters())
print(f"A = {A:.0f} eV, rho = {rho:.3f} Å, C = {C:.0f} eV Å^6")
print(f"forces to {1000 * fitted.metrics['train']['forces_mae']:.0f} meV/Å")
assert fitted.metrics["train"]["forces_mae"] < 0.1

# It adds to any other, and the sum is a potential again.
both = fitted.potential + ZBL()
print(f"{type(both).__name__} of {[type(p).__name__ for p in both.parts]}, cutoff {both.cutoff} Å")
