import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.lj import LennardJones as AseLennardJones
from conftest import silicon

from adlayer import Evaluator, Graph, Prediction, ReferenceEnergies, Structures, Sum, evaluate
from adlayer.potentials.lennard_jones import LennardJones


def test_stress_per_measure_of_the_periodic_directions():
    """A slab's stress does not know its vacuum; times the area it is the virial that ASE divides by the cell volume."""
    potential, atoms = LennardJones(0.4, 2.2, 5.0, truncation="energy"), silicon("slab")
    atoms.calc = AseLennardJones(epsilon=0.4, sigma=2.2, rc=5.0)
    s = Structures.from_ase(atoms)
    stress = evaluate(potential, s).stress[0]
    virial = atoms.get_stress(voigt=False) * atoms.get_volume()
    area = np.linalg.norm(np.cross(*atoms.cell[:2]))
    assert np.allclose(stress[:2, :2] * area, virial[:2, :2], atol=1e-10)
    assert torch.count_nonzero(stress[2]) == 0
    atoms.center(30.0, axis=2)
    assert torch.allclose(evaluate(potential, Structures.from_ase(atoms)).stress[0], stress, atol=1e-10)


def test_a_cluster_has_no_stress():
    assert evaluate(LennardJones(), Structures.from_ase(silicon("cluster"))).stress.isnan().all()


def test_evaluator_equals_evaluate_along_a_path(silicon_structures):
    potential = LennardJones(0.01, 2.1, 5.0)
    evaluator, s = Evaluator(potential), silicon_structures
    for _ in range(4):
        s = s.with_positions(s.positions + 0.05)
        a, b = evaluator(s), evaluate(potential, s)
        assert torch.equal(a.energy, b.energy)
        assert torch.equal(a.forces, b.forces)


def test_unknown_elements_are_named():
    potential = ReferenceEnergies({"Si": -1.0})
    with pytest.raises(ValueError, match="knows Si; the structures also hold H"):
        evaluate(potential, Structures.from_ase(silicon("cluster")))
    with pytest.raises(ValueError, match="also hold Cu"):
        Evaluator(potential)(Structures.from_ase(bulk("Cu")))


def test_sum_adds_and_flattens(silicon_structures):
    a, b = LennardJones(0.01, 2.1, 5.0), LennardJones(0.02, 2.0, 4.0)
    c = ReferenceEnergies({"Si": -1.0, "H": -2.0})
    total = a + b + c
    assert isinstance(total, Sum)
    assert len(total.parts) == 3
    assert total.cutoff == 5.0
    assert total.elements == ("Si", "H")
    parts = [evaluate(p, silicon_structures) for p in (a, b, c)]
    assert torch.allclose(evaluate(total, silicon_structures).energy, sum(p.energy for p in parts))
    assert torch.allclose(evaluate(total, silicon_structures).forces, sum(p.forces for p in parts))


def test_sum_of_precisions(silicon_structures):
    total = LennardJones(0.01, 2.1, 5.0).float() + ReferenceEnergies({"Si": -123.456789, "H": -2.0})
    assert total.dtype == torch.float64
    only_energies = ReferenceEnergies({"Si": -123.456789, "H": -2.0})
    small = evaluate(total, silicon_structures).energy - evaluate(only_energies, silicon_structures).energy
    assert torch.allclose(small, evaluate(total.parts[0].double(), silicon_structures).energy, rtol=1e-4)


def test_predictions_join_and_part(silicon_structures):
    p = evaluate(LennardJones(0.01, 2.1, 5.0), silicon_structures)
    parts = [(s, p.select(silicon_structures, k)) for k, s in enumerate(silicon_structures)]
    joined = Prediction.cat(parts)
    for name in ("energy", "forces", "energies"):
        assert torch.equal(getattr(joined, name), getattr(p, name))
    first = (parts[0][0], Prediction(energy=parts[0][1].energy))
    partly = Prediction.cat([first, *parts[1:]])
    assert partly.forces[:8].isnan().all()
    assert not partly.forces[8:].isnan().any()


def test_the_graph_can_be_given(silicon_structures):
    potential = LennardJones(0.01, 2.1, 5.0)
    graph = Graph.of(silicon_structures, 5.0)
    assert torch.equal(evaluate(potential, graph).energy, evaluate(potential, silicon_structures).energy)
    only = evaluate(potential, graph, forces=False, stress=False)
    assert only.forces is None
    assert only.stress is None


def test_a_potential_in_place_of_its_evaluator_says_what_to_do(silicon_structures):
    with pytest.raises(TypeError, match=r"LennardJones takes a graph; .* Evaluator\(potential\)"):
        LennardJones()(silicon_structures)
