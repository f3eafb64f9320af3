import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT as AseEMT
from ase.cluster import Icosahedron

from adlayer import Structures, evaluate
from adlayer.potentials.emt import EMT, PARAMETERS


def mixed(atoms, symbols, seed):
    rng = np.random.default_rng(seed)
    atoms = atoms.copy()
    atoms.symbols[:] = rng.choice(symbols, len(atoms))
    atoms.positions += rng.normal(0, 0.1, (len(atoms), 3))
    return atoms


def test_like_ase():
    """Every element and mixtures of all; bulk, slab, particle, a lone atom."""
    slab = fcc111("Cu", (2, 2, 3), vacuum=8.0)
    slab.pbc = (True, True, False)
    frames = [mixed(bulk(e, "fcc", a=4.0, cubic=True), [e], 1) for e in PARAMETERS]
    frames += [mixed(x, list(PARAMETERS), 2) for x in (bulk("Ag", cubic=True) * (2, 1, 1), slab, Icosahedron("Pd", 2))]
    frames += [Atoms("Pt")]
    found = evaluate(EMT(list(PARAMETERS)), Structures.from_ase(frames))
    energies, forces, atomic = [], [], []
    for atoms in frames:
        atoms.calc = AseEMT()
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces())
        atomic.append(atoms.calc.results["energies"].copy())
    assert np.allclose(found.energy, energies, rtol=0, atol=1e-10)
    assert np.allclose(found.energies, np.concatenate(atomic), rtol=0, atol=1e-10)
    assert np.allclose(found.forces, np.concatenate(forces), rtol=0, atol=1e-10)
    theirs = frames[0].get_stress(voigt=False)
    assert np.allclose(found.stress[0], theirs, rtol=0, atol=1e-11)


def test_copper():
    """Jacobsen, Stoltze and Nørskov: cohesive energy 3.51 eV, at rest at its neutral radius."""
    p = EMT(["Cu"])
    crystal, atom = evaluate(p, Structures.from_ase([bulk("Cu", a=3.61), Atoms("Cu")])).energy
    assert float(atom - crystal) == pytest.approx(3.51, abs=0.01)


def test_parameters_can_be_fitted():
    p = EMT(["Cu"])
    said = evaluate(p, Structures.from_ase(mixed(bulk("Cu", cubic=True), ["Cu"], 3)), create_graph=True)
    said.forces.square().sum().backward()
    assert torch.isfinite(p.constants.grad).all()
    assert p.constants.grad[0, 3].abs() > 0


def test_messages():
    with pytest.raises(ValueError, match="EMT has no parameters of Fe; it knows Al, Cu"):
        EMT(["Cu", "Fe"])
