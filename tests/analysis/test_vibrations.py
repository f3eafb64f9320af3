"""Frequencies of springs known on paper, of copper as ASE finds them, of silicon as measured on the potential."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.vibrations import Vibrations as AseVibrations

from adlayer import Evaluator, Prediction
from adlayer.analysis import Vibrations, frequencies, hessian
from adlayer.potentials.stillinger_weber import StillingerWeber
from adlayer.reference import calculator_evaluate
from adlayer.units import FS


class Springs:
    """Neighbors in a chain, joined along x by springs of 3 eV/Å²."""

    def __call__(self, structures):
        x = structures.positions.reshape(structures.n_systems, -1, 3)[..., 0]
        stretch = x[:, 1:] - x[:, :-1] - 2.0
        forces = torch.zeros_like(structures.positions).reshape(structures.n_systems, -1, 3)
        forces[:, :-1, 0] += 3 * stretch
        forces[:, 1:, 0] -= 3 * stretch
        return Prediction(1.5 * stretch.square().sum(1), forces.reshape(-1, 3))


def test_chain_of_springs():
    """Carbon dioxide's textbook case: ``omega² = k/m`` and ``k/m (1 + 2 m/M)``."""
    atoms = Atoms("OCO", [[0, 0, 0], [2, 0, 0], [4, 0, 0]])
    nu, modes = frequencies(hessian(Springs(), atoms, np.arange(3)), atoms.get_masses())
    m, M = atoms.get_masses()[:2]
    expected = 1000 * FS * np.sqrt([3 / m, 3 / m * (1 + 2 * m / M)]) / (2 * np.pi)
    assert nu[-2:] == pytest.approx(expected, rel=1e-9)
    assert abs(nu[:-2]).max() < 1e-4
    assert np.allclose(modes.T @ modes, np.eye(9), atol=1e-12)


def test_as_ase_finds_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atoms = fcc111("Cu", (1, 1, 3), vacuum=6.0)
    atoms.pbc = (True, True, False)
    atoms.set_constraint(FixAtoms([0]))
    atoms.calc = EMT()
    theirs = AseVibrations(atoms, indices=[1, 2], delta=0.01, nfree=2)
    theirs.run()
    energies = theirs.get_energies()
    expected = np.sort(np.where(energies.imag, -energies.imag, energies.real)) / 4.135667696e-3  # eV to THz
    found = Vibrations("slab", delta=0.01, max_steps=0)(calculator_evaluate(EMT()), {"slab": [atoms]})
    assert found.data["structure 1"]["moving"] == [1, 2]
    assert np.allclose(found.data["structure 1"]["frequencies"], expected, atol=1e-4)


def test_silicon_raman_mode():
    """Three acoustic modes at zero and an optical triplet; 17.8 THz with Stillinger and Weber's potential."""
    made = {"si": [bulk("Si")]}
    told = []
    found = Vibrations("si", chunk=5)(Evaluator(StillingerWeber(), stress=False), made, lambda *x: told.append(x))
    nu = np.array(found.data["structure 1"]["frequencies"])
    assert np.allclose(nu[:3], 0, atol=1e-3)
    assert np.ptp(nu[3:]) < 1e-3
    assert nu[-1] == pytest.approx(17.8, abs=0.3)
    assert told[-1][:2] == (12, 12)
    assert Vibrations("si").plot({"potential": found, "reference": found}).axes


def test_layers_need_tags():
    with pytest.raises(ValueError, match="tagged"):
        Vibrations("si", layers=1)(Evaluator(StillingerWeber()), {"si": [bulk("Si")]})
