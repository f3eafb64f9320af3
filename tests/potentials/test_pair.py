import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones as AseLennardJones

from adlayer import Structures, evaluate
from adlayer.potentials.buckingham import Buckingham
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.potentials.morse import Morse


def energy(potential, atoms):
    return float(evaluate(potential, Structures.from_ase(atoms)).energy)


def test_lennard_jones_crystal():
    # fcc: -1/2 A6^2/A12 = -8.6102 epsilon at (2 A12/A6)^(1/6) = 1.09017 sigma from neighbor to neighbor (Kittel)
    argon = bulk("Ar", a=1.09017 * 3.40 * 2**0.5)
    assert energy(LennardJones(cutoff=40.0, truncation="none"), argon) / 0.0104 == pytest.approx(-8.610, abs=7e-3)


def test_lennard_jones_like_ase(copper_slab):
    ours = evaluate(LennardJones(0.2, 2.3, 6.0, truncation="energy"), Structures.from_ase(copper_slab))
    copper_slab.calc = AseLennardJones(epsilon=0.2, sigma=2.3, rc=6.0)
    assert float(ours.energy) == pytest.approx(copper_slab.get_potential_energy(), abs=1e-10)
    torch.testing.assert_close(ours.forces, torch.from_numpy(copper_slab.get_forces()), atol=1e-10, rtol=0)


def test_numbers_and_tables_agree(copper_slab):
    assert energy(LennardJones(0.2, 2.3, 6.0), copper_slab) == pytest.approx(
        energy(LennardJones({"Cu": 0.2, "Ni": 0.1}, {"Ni": 2.1, "Cu": 2.3}, 6.0), copper_slab), abs=1e-12
    )


def test_morse_copper():
    # Girifalco and Weizer fitted the energy of vaporization, 3.5 eV, and the lattice constant
    copper = bulk("Cu", a=3.61)
    p = evaluate(Morse(cutoff=14.0), Structures.from_ase(copper))
    assert float(p.energy) == pytest.approx(-3.5, abs=0.05)
    assert float(p.stress[0, 0, 0]) == pytest.approx(0.0, abs=0.005)


@pytest.mark.parametrize(
    ("truncation", "jump", "slope"), [("force", 0.0, 0.0), ("energy", 0.0, 1.0), ("none", 1.0, 1.0)]
)
def test_truncation(truncation, jump, slope):
    """Shifting removes the step of the energy, force-shifting that of the force as well."""
    p = Morse(1.0, 1.5, 2.5, cutoff=3.5, truncation=truncation)
    at = evaluate(p, Structures.from_ase(Atoms("Cu2", [[0, 0, 0], [3.5 - 1e-9, 0, 0]])))
    x = torch.exp(torch.tensor(-1.5, dtype=torch.float64))
    assert float(at.energy) == pytest.approx(jump * float(x * x - 2 * x), abs=1e-7)
    assert float(at.forces[0, 0]) == pytest.approx(slope * float(-3 * (x * x - x)), abs=1e-7)


def test_messages():
    with pytest.raises(ValueError, match="alpha has no value for Cu-Ni"):
        Morse({"Cu": 0.3, "Ni": 0.4, "Cu-Ni": 0.35}, {"Cu": 1.3, "Ni": 1.4}, 2.8)
    with pytest.raises(ValueError, match="A has no value for O-Si"):
        Buckingham({"O": 1388.0}, {"O": 0.36}, {"Si": 1.0})
    with pytest.raises(ValueError, match="truncation must be"):
        energy(LennardJones(truncation="smooth"), bulk("Ar", a=5.3))
