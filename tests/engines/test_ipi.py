"""Path integrals by i-PI: quantum oscillators, all beads in one batch, gone on with after a kill."""

import signal
import subprocess

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.constraints import FixAtoms

from adlayer import Prediction, Structures
from adlayer.engines import ipi
from adlayer.engines.ipi import path_integral_md
from adlayer.structures import sum_systems
from adlayer.units import BOLTZMANN, FS, HBAR

pytest.importorskip("ipi")

K, T, BEADS = 5.0, 300.0, 16


class Wells:
    """Independent oscillators, ``K (r - r0)² / 2``."""

    def __init__(self, places, dies_at=None):
        self.places, self.batches, self.dies_at = torch.as_tensor(places), [], dies_at

    def __call__(self, structures: Structures) -> Prediction:
        self.batches.append(structures.n_systems)
        if len(self.batches) == self.dies_at:
            raise KeyboardInterrupt
        r = structures.positions - self.places.repeat(structures.n_systems, 1)
        return Prediction(sum_systems(0.5 * K * r.square().sum(-1), structures), -K * r)


def hydrogens(n: int) -> Atoms:
    return Atoms(f"H{n}", [[4.0 * k, 0, 0] for k in range(n)])


@pytest.mark.slow
def test_energy_of_quantum_oscillators(tmp_path):
    """``E = k_B T sum_k w²/(w² + w_k²)`` with ``w_k = 2 P k_B T/hbar sin(k pi/P)`` for ``P`` beads, per direction."""
    atoms = hydrogens(9)
    atoms.set_constraint(FixAtoms([8]))
    wells = Wells(atoms.positions.copy())
    found = path_integral_md(wells, atoms, tmp_path, T, BEADS, picoseconds=2.0, timestep=0.5, relaxation=20.0, record=5)
    assert np.mean(wells.batches) > 0.9 * BEADS
    kT, w = BOLTZMANN * T, 1e15 * HBAR * FS * (K / 1.008) ** 0.5  # eV
    modes = 2 * BEADS * kT * np.sin(np.arange(BEADS) * np.pi / BEADS)
    expected = 24 * kT * (w**2 / (w**2 + modes**2)).sum()
    energy, error = found.energy()
    assert expected > 2 * 24 * kT  # far from classical
    assert expected == pytest.approx(12 * w / np.tanh(w / 2 / kT), rel=0.03)
    assert energy == pytest.approx(expected, abs=0.02 * expected + 3 * error)


def test_goes_on_after_a_kill_and_is_only_read_when_done(tmp_path):
    atoms = hydrogens(1)
    run = {"temperature": T, "beads": 4, "picoseconds": 0.06, "record": 2, "frames": 20}
    with pytest.raises(KeyboardInterrupt):
        path_integral_md(Wells(atoms.positions.copy(), dies_at=80), atoms, tmp_path, **run)
    wells = Wells(atoms.positions.copy())
    found = path_integral_md(wells, atoms, tmp_path, **run)
    assert 30 < len(wells.batches) < 110
    assert found.log["step"].tolist() == list(range(0, 121, 2))
    kept = found.log["conserved energy (eV)"]
    assert abs(kept - kept[0]).max() < 0.01
    never = Wells(atoms.positions.copy(), dies_at=1)
    again = path_integral_md(never, atoms, tmp_path, **run)
    assert np.array_equal(again.log["potential energy (eV)"], found.log["potential energy (eV)"])


def test_goes_on_where_i_pi_itself_was_killed(tmp_path, monkeypatch):
    """From its last checkpoint, or a whole one where it was killed while it wrote: what is found is the same."""
    atoms = hydrogens(1)
    run = {"temperature": T, "beads": 4, "picoseconds": 0.06, "record": 2, "frames": 20}
    monkeypatch.setattr(subprocess.Popen, "terminate", subprocess.Popen.kill)
    with pytest.raises(KeyboardInterrupt):
        path_integral_md(Wells(atoms.positions.copy(), dies_at=80), atoms, tmp_path, **run)
    (tmp_path / "RESTART").write_text((tmp_path / "ipi.restart").read_text()[:2000])
    wells = Wells(atoms.positions.copy())
    found = path_integral_md(wells, atoms, tmp_path, **run)
    whole = path_integral_md(Wells(atoms.positions.copy()), atoms, tmp_path / "whole", **run)
    assert len(wells.batches) < 90
    assert found.log["potential energy (eV)"] == pytest.approx(whole.log["potential energy (eV)"], abs=1e-8)


def test_an_i_pi_that_does_not_end_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess.Popen, "terminate", lambda process: None)
    sleeper = subprocess.Popen(["sleep", "60"])
    ipi._end(sleeper, patience=0.1)
    assert sleeper.returncode == -signal.SIGKILL
