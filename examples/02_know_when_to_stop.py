"""A potential that knows its doubt stops a simulation before its numbers mean nothing.

The training set holds copper near its equilibrium; the run is heated until the atoms leave what the potential knows.
"""

from ase.build import fcc111
from ase.calculators.emt import EMT

from adlayer import Dataset, Evaluator, evaluate, run, split
from adlayer.potentials.ace import ACE
from adlayer.simulation import Langevin, MaxUncertainty
from adlayer.uncertainty import Committee, assess

start = fcc111("Cu", (2, 2, 4), vacuum=6.0, periodic=False)
frames = []
for k in range(48):
    atoms = start.copy()
    atoms.rattle(0.06 + 0.0005 * k, seed=k)
    atoms.calc = EMT()
    atoms.get_forces()
    frames.append(atoms)
train, valid = split(Dataset.from_ase(frames), [36, 12], seed=1)

# 32 members drawn from the posterior of one fit, their spread scaled so that it is right on the held-out frames.
committee = Committee().fit(ACE(["Cu"], cutoff=4.5, order=2, degree=8), train, valid, seed=1)
calibration = assess(evaluate(committee, valid.structures), valid)
covered = calibration.heldout.qualities()["forces"].coverage["0.9"]
print(f"{100 * covered:.0f} % of the held-out force components lie within their 90 % intervals")

# The uncertainty beyond which a force error of 0.1 eV/Å can no longer be excluded, with 90 % confidence.
threshold = calibration.threshold(tolerance=0.1, level=0.9)
hot = Langevin(temperature=300, final=2500, picoseconds=2.0, timestep=4.0)
done = run(hot, Evaluator(committee), [start], 1, watch=[MaxUncertainty(threshold)])
print(f"stopped after {done.steps[0]} of {hot.n_steps} steps: {done.reason[0]}")
assert done.reason[0].startswith("uncertainty of a force")

# Was it right to stop? Ask the reference.
last = done.frames[0]
error = last.get_forces(apply_constraint=False)
last.calc = EMT()
error = abs(error - last.get_forces(apply_constraint=False)).max()
print(f"largest error of a force component there: {error:.2f} eV/Å")
