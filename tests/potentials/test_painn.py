"""PaiNN against SchNetPack, and its fused messages against their definition."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from adlayer import Graph, Structures, evaluate
from adlayer.kernels import messages
from adlayer.potentials.painn import PaiNN

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "schnetpack_painn.npz")


def frames() -> list[Atoms]:
    fields = ("numbers", "positions", "cell", "pbc")
    return [Atoms(**{f: REFERENCE[f"{k}.{f}"] for f in fields}) for k in range(int(REFERENCE["frames"]))]


def state(name: str) -> dict[str, torch.Tensor]:
    prefix = f"{name}.state."
    return {k.removeprefix(prefix): torch.from_numpy(REFERENCE[k]) for k in REFERENCE.files if k.startswith(prefix)}


@pytest.mark.parametrize("elements", [None, ["H", "C", "O", "Na", "Cl", "Cu"]], ids=["any", "few"])
@pytest.mark.parametrize("name", ["gaussian", "sinc", "shared"])
def test_energies_and_forces_are_those_of_schnetpack(name, elements):
    painn = PaiNN.from_schnetpack(state(name), elements=elements)
    assert painn.dtype == torch.float64
    p = evaluate(painn, Structures.from_ase(frames()))
    expected = [(REFERENCE[f"{name}.{k}.energy"], REFERENCE[f"{name}.{k}.forces"]) for k in range(len(frames()))]
    energy, forces = (np.stack([e for e, _ in expected]), np.concatenate([F for _, F in expected]))
    assert np.abs(forces).max() > 0.1
    np.testing.assert_allclose(p.energy.numpy(), energy, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(p.forces.numpy(), forces, rtol=1e-10, atol=1e-10)


def test_presets_differ_in_the_basis_alone():
    assert PaiNN.original().arguments["basis"] == "sinc"
    assert PaiNN.schnetpack(features=16).arguments == {"basis": "gaussian", "features": 16}


def test_scale_multiplies_the_energy():
    torch.manual_seed(0)
    one = PaiNN(features=8).double()
    two = PaiNN(features=8, scale=2.0).double()
    two.load_state_dict(one.state_dict())
    s = Structures.from_ase(bulk("Si"))
    torch.testing.assert_close(2 * evaluate(one, s).energy, evaluate(two, s).energy)


def test_other_states_are_refused():
    with pytest.raises(ValueError, match=r"no cutoff_fn\.cutoff"):
        PaiNN.from_schnetpack({k: x for k, x in state("sinc").items() if "cutoff" not in k})
    shifted = state("gaussian")
    shifted["representation.radial_basis.offsets"] = shifted["representation.radial_basis.offsets"] + 0.5
    with pytest.raises(ValueError, match="do not start at r = 0"):
        PaiNN.from_schnetpack(shifted)


def test_what_nobody_asks_for_is_not_computed(monkeypatch):
    painn = PaiNN(features=8).double()
    graph = Graph.of(Structures.from_ase(bulk("Si") * (2, 1, 1)), painn.cutoff)
    asked, vjp = [], messages._vjp
    monkeypatch.setattr(messages, "_vjp", lambda *a: asked.append(a[-2:]) or vjp(*a))
    evaluate(painn, graph)
    assert asked == [(False, True)] * 3  # by weights, by distances
    painn(graph).energy.sum().backward()
    assert asked[3:] == [(True, False)] * 3
