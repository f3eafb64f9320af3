"""Surfaces: build them by their Miller indices, relax many at a time, and ask what they cost and how they reconstruct.

Here silicon by Stillinger and Weber, which knows that surface atoms pair into dimers but not that the dimers tilt.
"""

import numpy as np

from adlayer import Evaluator
from adlayer.analysis import EquationOfState, Reconstructions, SurfaceEnergy
from adlayer.potentials.stillinger_weber import StillingerWeber
from adlayer.surfaces import Bulk, Dimers, Slab

rng, made = np.random.default_rng(0), {}
for name, generator in {
    "bulk": Bulk(of="Si"),
    "(111)": Slab(of="Si", miller=[1, 1, 1], layers=12),
    "(100)": Slab(of="Si", miller=[1, 0, 0], layers=12, repeat=[2, 2]),
    "dimers": Dimers(slab="(100)", patterns=["1x1", "p(2x1)", "p(2x2)"]),  # on the upper side
}.items():
    made[name] = generator(made, rng)  # later ones refer to earlier ones by name, as in a recipe
print({name: [frame.get_chemical_formula() for frame in frames] for name, frames in made.items()})

potential, found = Evaluator(StillingerWeber()), {}
for analysis in (
    EquationOfState(of="bulk"),
    SurfaceEnergy(slab="(111)", bulk="bulk"),
    SurfaceEnergy(slab="(100)", bulk="bulk"),
    Reconstructions(of="dimers"),
):
    print(f"\n{analysis.title}")
    for q in analysis(potential, made).quantities:
        found[q.name] = q.value
        print(f"  {q.name:<48} {q.value:9.4f} {q.unit}")

assert abs(found["lattice constant"] - 5.431) < 0.001
assert abs(found["dimer tilt of p(2x2)"]) < 1.0  # real dimers tilt by about 18 degrees, a matter of electrons
