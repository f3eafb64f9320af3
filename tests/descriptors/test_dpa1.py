"""DPA-1: what is special to it. Its numbers are compared with the original's in tests/formats/test_deepmd.py."""

import pytest
import torch
from ase import Atoms
from ase.build import bulk

from adlayer import Graph, Structures, evaluate
from adlayer.checks import check_descriptor, check_potential
from adlayer.descriptors.dpa1 import DPA1
from adlayer.kernels import plain
from adlayer.potentials import deep_potential
from adlayer.potentials.deep_potential import DeepPotential

LAWS = ["permutation", "extensivity", "separation", "forces_are_derivatives", "second_derivatives", "smoothness"]


def silane(seed: int = 1) -> Structures:
    """Atoms of both elements, everywhere."""
    atoms = bulk("Si", cubic=True)
    atoms.symbols[::3] = "H"
    atoms.rattle(0.2, seed=seed)
    return Structures.from_ase(atoms)


@pytest.mark.parametrize(
    "options",
    [
        {"strip": True},
        {"strip": True, "layers": 0, "one_side": True},
        {"exclude": [["Si", "H"]], "normalize": False, "with_element": False},
        {"gate": False, "temperature": 1.5, "sel": 3},
    ],
    ids=["strip", "no attention", "exclude", "few places"],
)
def test_options_obey_the_laws(options):
    check_descriptor(DPA1(**{**DPA1.small, **options}), LAWS)


@pytest.mark.parametrize("options", [{}, {"one_side": True}, {"strip": True, "smooth": False}, {"strip": True}])
def test_the_kernel_is_the_definition(options):
    descriptor = DPA1(**{**DPA1.small, "layers": 0, "channels": 4, **options})
    descriptor.prepare([Graph.of(silane(), 3.5)])
    potential = DeepPotential(["Si", "H"], descriptor=descriptor, hidden=[5])
    structures = silane(2)
    assert potential.compress() < 1e-11
    fast = evaluate(potential, structures)
    with plain():
        slow = evaluate(potential, structures)
    assert not torch.equal(fast.forces, slow.forces)  # else the kernel was not asked
    torch.testing.assert_close(fast.energies, slow.energies, rtol=0, atol=1e-12)
    torch.testing.assert_close(fast.forces, slow.forces, rtol=0, atol=1e-12)


def test_piece_by_piece_it_is_the_same(monkeypatch):
    potential = DeepPotential(["Si", "H"], descriptor={"DPA1": DPA1.small}, hidden=[5])
    with plain():
        whole = evaluate(potential, silane())
    monkeypatch.setattr(deep_potential, "PIECE", 3)
    pieces = evaluate(potential, silane())
    torch.testing.assert_close(pieces.energies, whole.energies, rtol=0, atol=1e-13)
    torch.testing.assert_close(pieces.forces, whole.forces, rtol=0, atol=1e-13)
    check_potential(potential, ["second_derivatives", "single_precision"])


def test_excluded_pairs_do_not_see_each_other():
    descriptor = DPA1(**{**DPA1.small, "exclude": [["Si", "H"]]})
    together = Atoms("Si2H2", positions=[[0, 0, 0], [2.2, 0, 0], [0, 1.4, 0], [0.7, 1.5, 0]])
    apart = together.copy()
    apart.positions[2:] += 20
    D = [descriptor(Graph.of(Structures.from_ase(atoms), 3.5)) for atoms in (together, apart)]
    torch.testing.assert_close(*D, rtol=0, atol=1e-13)


def test_elements_are_told_apart_by_their_vectors_alone():
    descriptor = DPA1(**DPA1.small)
    structures = silane()
    other = Structures(**{**vars(structures), "numbers": torch.full_like(structures.numbers, 14)})
    before, all_silicon = (descriptor(Graph.of(s, 3.5)) for s in (structures, other))
    assert float((before - all_silicon).abs().max()) > 1e-3
    descriptor.embedding.elements.data[1] = descriptor.embedding.elements.data[0]
    torch.testing.assert_close(descriptor(Graph.of(structures, 3.5)), all_silicon, rtol=0, atol=1e-13)


def test_statistics_of_an_element_are_taken_once():
    descriptor = DPA1(["Si", "H"], cutoff=3.5, embedding=[4], axis=2)
    descriptor.prepare([Graph.of(Structures.from_ase(bulk("Si", cubic=True)), 3.5)])
    width, sel = descriptor.environment.width.clone(), descriptor.environment.sel.clone()
    assert sel.tolist() == [8]
    assert float(width[0, 0]) != 1
    assert width[1].tolist() == [1, 1]
    descriptor.prepare([Graph.of(silane(), 3.5)])
    assert torch.equal(descriptor.environment.width[0], width[0])
    assert torch.equal(descriptor.environment.sel, sel)
    assert float(descriptor.environment.width[1, 0]) != 1


def test_bad_arguments_are_told():
    with pytest.raises(ValueError, match="axis must be 1 to 6"):
        DPA1(["Si"], embedding=[3, 6], axis=7)
    with pytest.raises(ValueError, match="exclude names O, which is not among Si, H"):
        DPA1(["Si", "H"], exclude=[["Si", "O"]])
    with pytest.raises(ValueError, match="sel needs a number above 0"):
        DPA1(["Si", "H"], sel=0)


def test_it_is_fitted_and_fitted_further():
    """Copper and nickel of EMT; then to strained copper, where it begins better than a new one and keeps its width."""
    from ase.calculators.emt import EMT

    from adlayer.data import Dataset
    from adlayer.fitting import GradientDescent
    from adlayer.fitting.parts import leaves
    from adlayer.potential import make_potential

    def frames(symbol: str, strain: float, n: int) -> Dataset:
        found = [bulk(symbol, cubic=True) for _ in range(n)]
        for k, atoms in enumerate(found):
            atoms.set_cell(atoms.cell * (1 + strain), scale_atoms=True)
            atoms.rattle(0.1, seed=k)
            atoms.calc = EMT()
            atoms.get_forces()
        return Dataset.from_ase(found)

    seen = {"DPA1": {"cutoff": 3.5, "embedding": [4, 8], "axis": 2, "channels": 2, "layers": 1, "attention": 4}}
    new = make_potential({"DeepPotential": {"descriptor": seen, "hidden": [8]}}, ["Cu", "Ni"])
    fit = GradientDescent(epochs=15, batch=2, learning_rate=1e-2)
    known = Dataset.cat([frames("Cu", 0.0, 4), frames("Ni", 0.0, 4)])
    fitted = fit(new, known, known)
    assert fitted.history[-1]["valid_forces_mae"] < 0.7 * fitted.history[0]["valid_forces_mae"]
    (before,) = (p for p in leaves(fitted.potential) if isinstance(p, DeepPotential))
    width = before.descriptor.environment.width.clone()
    strained, once = frames("Cu", 0.02, 2), GradientDescent(epochs=1, batch=2, learning_rate=1e-4)
    further, scratch = (once(p, strained, strained) for p in (before, new))
    assert further.metrics["valid"]["forces_mae"] < scratch.metrics["valid"]["forces_mae"]
    (after,) = (p for p in leaves(further.potential) if isinstance(p, DeepPotential))
    assert torch.equal(after.descriptor.environment.width, width)
