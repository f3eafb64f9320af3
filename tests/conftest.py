import json
from pathlib import Path

import numpy as np
import pytest
import shapes  # noqa: F401  # before adlayer is imported
import torch
from ase.build import bulk, fcc111, molecule

from adlayer import Structures

torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Tests of one file run in one worker, which makes its fixtures once, unless they say with what they belong."""
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside a checkout; tests that need it skip where it is absent."""
    path = Path(__file__).resolve().parents[2] / "shared"
    if not path.is_dir():
        pytest.skip("the shared reference data are not here")
    return path


@pytest.fixture(scope="session")
def reference():
    """Reads a file of reference numbers from tests/reference."""
    folder = Path(__file__).parent / "reference"
    return lambda name: json.loads((folder / name).read_text())


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def silicon(kind: str, seed: int = 0):
    """Small rattled silicon systems with every kind of periodicity."""
    atoms = {
        "bulk": lambda: bulk("Si", cubic=True),
        "primitive": lambda: bulk("Si"),
        "slab": lambda: bulk("Si", cubic=True) * (1, 1, 1),
        "wire": lambda: bulk("Si", cubic=True) * (1, 1, 1),
        "cluster": lambda: molecule("Si2H6"),
    }[kind]()
    if kind == "slab":
        atoms.center(4.0, axis=2)
        atoms.pbc = (True, True, False)
    if kind == "wire":
        atoms.center(4.0, axis=(1, 2))
        atoms.pbc = (True, False, False)
    atoms.rattle(0.05, seed=seed)
    return atoms


@pytest.fixture
def copper_slab():
    atoms = fcc111("Cu", (2, 2, 3), vacuum=6.0)
    atoms.pbc = (True, True, False)
    atoms.rattle(0.05, seed=3)
    return atoms


@pytest.fixture
def silicon_structures() -> Structures:
    return Structures.from_ase([silicon(k) for k in ("bulk", "primitive", "slab", "wire", "cluster")])
