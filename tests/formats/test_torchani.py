import numpy as np
import pytest
import torch
from ase import Atoms

from adlayer import Structures, describe, evaluate
from adlayer.formats import read_potential, torchani, write_potential
from adlayer.graph import Graph
from adlayer.potentials.ani import ANI
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.units import HARTREE


def state_of(table):
    """The state of a torchani model; weights are those of the formula in torchani_make.py."""
    state, k = {}, 0
    for name, x in table.items():
        if isinstance(x, dict):
            shape, n = x["shape"], int(np.prod(x["shape"]))
            state[name] = torch.sin(1.7 * torch.arange(k, k + n).double()).reshape(shape) / shape[-1] ** 0.5
            k += n + 3
        else:
            state[name] = torch.tensor(x)
            if state[name].is_floating_point():
                state[name] = torch.tensor(x, dtype=torch.float64)
    return state


def atoms_of(case):
    return Atoms(case["symbols"], case["positions"], cell=case["cell"], pbc=case["cell"] is not None)


@pytest.mark.parametrize("name", ["ani1x", "ani2x", "simple"])
def test_torchani(name, reference, tmp_path):
    """Environment vectors, energies of each member, energies and forces; free atoms and small sheared cells."""
    table = reference("torchani.json")
    torch.save(state_of(table[f"{name}_state"]), tmp_path / "model.pt")
    made = read_potential(tmp_path / "model.pt")
    assert isinstance(made, ANI)
    for case in table[name]:
        s = Structures.from_ase(atoms_of(case))
        graph = Graph.of(s, made.cutoff)
        G = made.descriptor(graph).numpy()
        np.testing.assert_allclose(G.sum(0), case["aev_sums"], rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(G[0], case["aev_first"], rtol=1e-10, atol=1e-10)
        said = evaluate(made, s)
        assert float(said.energy) == pytest.approx(HARTREE * case["energy"], abs=1e-8)
        np.testing.assert_allclose(said.forces.numpy(), HARTREE * np.array(case["forces"]), rtol=0, atol=1e-8)
        if "members" in case:
            E = HARTREE * np.array(case["members"])
            assert float(said.std.energy) == pytest.approx(E.std(ddof=1), rel=1e-6)


def test_presets_are_those_of_torchani(reference):
    table = reference("torchani.json")
    for name, preset in (("ani1x", ANI.ani_1x()), ("ani2x", ANI.ani_2x())):
        own, read = preset.descriptor.constants, torchani.ani_of_state(state_of(table[f"{name}_state"]))
        theirs = read.descriptor.constants
        assert own.keys() == theirs.keys()
        for key, x in own.items():
            assert theirs[key] == x if isinstance(x, str) else theirs[key] == pytest.approx(x, rel=1e-6), key
        assert preset.elements == read.elements
    assert len(preset.members) == 8
    assert preset.members[0].networks[0].sizes == (1008, 256, 192, 160, 1)


def test_written_states_read_back(reference, tmp_path):
    table = reference("torchani.json")
    state = state_of(table["ani2x_state"])
    made = torchani.ani_of_state(state)
    write_potential(tmp_path / "model.pt", made, "torchani")
    written = torch.load(tmp_path / "model.pt")
    assert written.keys() == state.keys()
    for name, x in state.items():
        torch.testing.assert_close(written[name], x)
    again = read_potential(tmp_path / "model.pt")
    assert describe(again) == describe(made)


def test_states_of_version_1(reference):
    """Names of older files: layers are numbered with the activations between them, constants have the paper's names."""
    table = reference("torchani.json")
    new = state_of(table["ani1x_state"])
    old = {}
    for name, x in new.items():
        name = name.replace("potentials.nnp.", "").replace("members.", "").replace("atomics.", "")
        for k in (2, 1):
            name = name.replace(f"layers.{k}.", f"{2 * k}.")
        name = name.replace("layers.0.", "0.").replace("final_layer", "4")
        for theirs, (before, _) in torchani.CONSTANTS.items():
            name = name.replace(f"aev_computer.{theirs}", f"aev_computer.{before}")
        old[name] = x
    del old["atomic_numbers"]
    a, b = torchani.ani_of_state(new), torchani.ani_of_state(old)
    assert describe(a) == describe(b)
    for name, x in a.state_dict().items():
        assert torch.equal(x, b.state_dict()[name]), name


def test_messages(reference, tmp_path):
    state = state_of(reference("torchani.json")["simple_state"])
    with pytest.raises(ValueError, match="also holds repulsion_xtb"):
        torchani.ani_of_state({**state, "potentials.repulsion_xtb.k": torch.ones(1)})
    with pytest.raises(ValueError, match="it has no networks"):
        torchani.ani_of_state({"a": torch.ones(1)})
    name = "potentials.nnp.aev_computer.radial.shifts"
    uneven = {**state, name: state[name] ** 2}
    with pytest.raises(ValueError, match="cutoff must be given"):
        torchani.ani_of_state(uneven)
    assert torchani.ani_of_state(uneven, cutoff=6.0, activation="celu").cutoff == 6.0
    with pytest.raises(TypeError, match="not a LennardJones"):
        torchani.write(tmp_path / "a.pt", LennardJones())
    torch.save(torch.nn.Linear(1, 1), tmp_path / "module.pt")
    assert not torchani.recognizes(tmp_path / "module.pt")
    with pytest.raises(ValueError, match="not a state"):
        torchani.read(tmp_path / "module.pt")
