"""From labeled structures to a fitted potential, and on to a lattice constant: the whole way in one page."""

from ase.build import bulk
from ase.calculators.emt import EMT

from adlayer import Calculator, Dataset, Evaluator, fit, load, relax, save, split
from adlayer.potentials.ace import ACE

# Labels. Any ASE calculator would do, and read("file.extxyz") reads what is there already.
frames = []
for k in range(40):
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(atoms.cell * (0.96 + 0.002 * k), scale_atoms=True)
    atoms.rattle(0.1, seed=k)
    atoms.calc = EMT()
    atoms.get_forces()
    frames.append(atoms)
train, test = split(Dataset.from_ase(frames), [0.8, 0.2], seed=1)

# A potential. ACE is linear in its coefficients, so the fit is one least-squares problem.
fitted = fit(ACE(["Cu"], cutoff=5.0, order=2, degree=8), train, test)
errors = fitted.metrics["valid"]
print(f"held out: {1000 * errors['energy_mae']:.2f} meV/atom, {1000 * errors['forces_mae']:.1f} meV/Å")

# One file holds what was chosen and what was learned; no pickle.
save("copper.adl", fitted.potential)
potential = load("copper.adl")

# Through ASE, or without it and for many structures at a time.
atoms = bulk("Cu", cubic=True)
atoms.calc = Calculator(potential)
print(f"energy {atoms.get_potential_energy():.4f} eV, pressure {-atoms.get_stress()[:3].mean():.4f} eV/Å³")

relaxed = relax(Evaluator(potential), [bulk("Cu", cubic=True)], fmax=0.001, cell=True)
print(f"lattice constant {relaxed.frames[0].cell[0, 0]:.3f} Å after {relaxed.steps[0]} steps; EMT: 3.590 Å")
assert abs(relaxed.frames[0].cell[0, 0] - 3.590) < 0.005
