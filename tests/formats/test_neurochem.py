import bz2
import shutil

import numpy as np
import pytest
from ase import Atoms

from adlayer import Structures, describe, evaluate
from adlayer.formats import neurochem, read_potential, write_potential
from adlayer.potentials.ani import ANI
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.units import HARTREE


@pytest.fixture
def folder(tmp_path, request):
    """A copy of the ensemble of two networks."""
    return shutil.copytree(request.path.parent.parent / "reference" / "neurochem", tmp_path / "small")


SELF_ENERGIES = {"H": -0.6, "C": -38.08, "O": -75.19}


def test_neurochem(folder, reference):
    """Energies of each member and forces as TorchANI has them, from files with the digits of float32."""
    made = read_potential(folder)
    assert isinstance(made, ANI)
    assert made.elements == ("H", "C", "O")
    assert len(made.members) == 2
    for case in reference("neurochem.json"):
        s = Structures.from_ase(Atoms(case["symbols"], case["positions"]))
        said = evaluate(made, s)
        E = np.array(case["without_self_energies"]) + sum(SELF_ENERGIES[e] for e in case["symbols"])
        assert float(said.energy) == pytest.approx(HARTREE * E.mean(), abs=1e-6)
        assert float(said.std.energy) == pytest.approx(HARTREE * E.std(ddof=1), rel=1e-6)
        np.testing.assert_allclose(said.forces.numpy(), HARTREE * np.array(case["forces"]), rtol=0, atol=1e-6)


def test_one_member(folder):
    """A folder of one network needs its own constants, as the published ones have them."""
    with pytest.raises(ValueError, match="is in none of the formats"):
        read_potential(folder / "train1")
    for name in ("small.params", "sae_linfit.dat"):
        shutil.copy(folder / name, folder / "train1")
    whole, one = read_potential(folder), read_potential(folder / "train1")
    assert len(one.members) == 1
    x = one.state_dict()
    assert all((whole.state_dict()[name.replace("members.0", "members.1")] == x[name]).all() for name in x)


@pytest.mark.parametrize("standardize", [False, True])
def test_written_folders_read_back(folder, tmp_path, standardize):
    made = read_potential(folder)
    atoms = Atoms("CH3OH", np.random.default_rng(0).uniform(0, 3, (6, 3)))
    if standardize:
        table = describe(made)["ANI"]
        made = ANI(**{**table, "standardize": True})
        made.load_state_dict({**made.state_dict(), **read_potential(folder).state_dict()})
        made.mean.fill_(0.1)
        made.spread.fill_(0.7)
    write_potential(tmp_path / "again", made, "neurochem")
    again = read_potential(tmp_path / "again")
    a, b = (evaluate(p, Structures.from_ase(atoms)) for p in (made, again))
    assert float(a.energy) == pytest.approx(float(b.energy), abs=1e-4)
    np.testing.assert_allclose(a.forces.numpy(), b.forces.numpy(), rtol=1e-4, atol=1e-4)


def test_messages(folder, tmp_path):
    with pytest.raises(TypeError, match="not a LennardJones"):
        neurochem.write(tmp_path / "a", LennardJones())
    with pytest.raises(ValueError, match="celu and the cosine cutoff, not gelu"):
        neurochem.write(tmp_path / "a", ANI(["H"], hidden=[3], activation="gelu"))
    weights = folder / "train0/networks/ANN-C.nnf-l1.wparam"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"has 164 numbers; the layer that ANN-C.nnf describes needs 165"):
        neurochem.read(folder)
    network = folder / "train0/networks/ANN-H.nnf"
    text = bz2.decompress(network.read_bytes().split(b"=\n", 1)[1]).replace(b"activation=9", b"activation=5")
    network.write_bytes(b"1=\n" + bz2.compress(text))
    with pytest.raises(ValueError, match="activation 5 is not read here"):
        neurochem.read(folder)
    network.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="is not a network of NeuroChem"):
        neurochem.read(folder)
    network.unlink()
    with pytest.raises(FileNotFoundError, match=r"ANN-H\.nnf"):
        neurochem.read(folder)
    constants = folder / "small.params"
    constants.write_text(constants.read_text().replace("EtaA", "Eta"))
    with pytest.raises(ValueError, match=r"small\.params has no EtaA"):
        neurochem.read(folder)
