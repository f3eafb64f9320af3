"""Every recipe of real physics, made short, killed again and again and gone on with: the same to the last digit."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SHORT = {
    "melting": [
        "structures={Cu55.Icosahedron={of='Cu',shells=2}}",
        "study.melting.Melting={of='Cu55',temperatures=[600,850],replicas=4,picoseconds=6}",
    ],
    "pd_hydrogen": [
        "structures.slab.Slab.repeat=[2,2]",
        "study.uptake.CoverageCurve.pressures=[1e-2,1.0]",
        "study.uptake.CoverageCurve.temperatures=[500,700]",
        "study.uptake.CoverageCurve.steps=2000",
    ],
    "segregation": [
        "structures.nickel.Slab.repeat=[2,2]",
        "study.segregation.Segregation.mu=[-0.1,0.0]",
        "study.segregation.Segregation.steps=1000",
    ],
    "si_adatom": [
        "active.rounds=1",
        "active.labels=6",
        "active.explore.Langevin.picoseconds=0.1",
        "structures.rattled.Rattle.n=2",
        "validate.hop.Barrier.n_images=3",
        "validate.hop.Barrier.fmax=0.5",
        "validate.hop.Barrier.engine.NEB={fmax=0.5,max_steps=5}",
    ],
    "si100_search": [
        "active.rounds=1",
        "active.labels=6",
        "active.explore.Langevin.picoseconds=0.1",
        "structures.starts.RandomSurfaces.n=4",
        "structures.more.RandomSurfaces.n=6",
        "validate.search.StructureSearch.keep=2",
        "validate.search.StructureSearch.fmax=0.2",
    ],
}


def command(recipe, folder):
    changes = [word for change in SHORT[recipe] for word in ("--set", change)]
    return [sys.executable, "-m", "adlayer", "run", EXAMPLES / f"{recipe}.toml", "--folder", folder, *changes]


def numbers(folder):
    """All that must not depend on whether a job was interrupted: not how long it took and where."""
    results = json.loads((folder / "results.json").read_text())
    return {k: v for k, v in results.items() if k in ("rounds", "failures", "validation", "study", "simulation")}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", SHORT)
def test_killed_again_and_again(recipe, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    began = time.monotonic()
    subprocess.run(command(recipe, whole), check=True, capture_output=True)
    lasts = time.monotonic() - began
    kills = 0
    for _ in range(12):
        try:
            subprocess.run(command(recipe, killed), check=True, capture_output=True, timeout=max(0.4 * lasts, 8))
            break
        except subprocess.TimeoutExpired:  # and so SIGKILL
            kills += 1
    assert kills >= 1
    assert (killed / "results.json").exists()
    assert json.dumps(numbers(killed)) == json.dumps(numbers(whole))
