"""What is the same is found to be the same, however it lies; what is not, is not."""

import numpy as np
import pytest
import torch
from ase.build import fcc111
from clusters import REDUCED, lennard_jones, random_clusters
from scipy.spatial.transform import Rotation

from adlayer import Structures
from adlayer.simulation import relax
from adlayer.simulation.search import Fingerprint, Minima
from adlayer.simulation.search.fingerprint import distance
from adlayer.simulation.search.landscape import Quenched


def features(fingerprint, frames, free=None):
    s = Structures.from_ase(frames)
    return fingerprint(s, s.numbers.unique(), torch.ones_like(s.numbers, dtype=torch.bool) if free is None else free)


def test_invariances(rng):
    (a,) = random_clusters(12, 1, seed=3)
    a.symbols[:5] = "Kr"
    a.positions *= 3.5
    turned = a[rng.permutation(12)]
    turned.positions = Rotation.random(random_state=1).apply(turned.positions) * [1, 1, -1] + [5.0, -3.0, 1.0]
    other = a.copy()
    other.positions[[0, 11]] = other.positions[[11, 0]]
    F = features(Fingerprint(), [a, turned, other])
    assert distance(F[0], F[1:])[0] < 1e-12
    assert distance(F[0], F[1:])[1] > 0.02


def test_periodic_axes_and_frozen_layers():
    a = fcc111("Cu", (2, 2, 3), vacuum=6.0)
    a.pbc = (True, True, False)
    a.rattle(0.1, seed=2)
    moved = a.copy()
    moved.positions += 0.3 * a.cell[0] + [0, 0, 2.0]
    moved.wrap()
    F = features(Fingerprint(), [a, moved, a[:-1]])
    assert distance(F[0], F[1:])[0] < 1e-10
    assert distance(F[0], F[1:])[1] > 0.05  # one atom less
    free = torch.as_tensor(np.tile(a.get_tags() == 1, 2))
    moved = a.copy()
    moved.positions[0, 2] += 0.1
    everything, bottom = features(Fingerprint(), [a, moved]), features(Fingerprint(), [a, moved], free)
    assert distance(bottom[0], bottom[1:])[0] > 0
    assert distance(everything[0], everything[1:])[0] > distance(bottom[0], bottom[1:])[0]


def test_smooth():
    (a,) = random_clusters(10, 1, seed=3)
    frames = []
    for step in (-1e-4, 0.0, 1e-4):
        frames.append(a.copy())
        frames[-1].positions[0] += [3.0 * step, 0, 0]
    F = features(Fingerprint(cutoff=3.0, width=0.1), frames)
    assert (F[2] - 2 * F[1] + F[0]).norm() < 0.01 * (F[2] - F[1]).norm()


def test_archive_keeps_the_lowest_and_counts():
    evaluate, fingerprint = lennard_jones(), REDUCED["fingerprint"]
    done = relax(evaluate, random_clusters(7, 24, seed=1), fmax=0.01, max_steps=2000)
    assert done.finished.all()
    s, energy = done.structures, done.prediction.energy
    F = fingerprint(s, s.numbers.unique(), torch.ones_like(s.numbers, dtype=torch.bool))
    quenched = Quenched(s, done.prediction, F, torch.as_tensor(done.finished), 0)
    batch, none = Minima.of(quenched, energy, 0), Minima.none(s, F.shape[1])
    archive, new = none.add(batch, quenched.good, fingerprint, 100)
    assert sum(new) == len(archive) == 4  # LJ7 has four minima
    expected = [-16.505384, -15.935043, -15.593211, -15.533060]  # Tsai and Jordan, J. Phys. Chem. 97, 11227 (1993)
    assert archive.energy[archive.order].tolist() == pytest.approx(expected, abs=1e-3)
    assert int(archive.found.sum()) == 24
    assert archive.first.tolist() == [new.index(True) + 1] + [k + 1 for k in range(1, 24) if new[k]]
    fewer, again = archive.add(batch, quenched.good, fingerprint, 2)
    assert not any(again)
    assert fewer.best(9).energy.tolist() == archive.best(2).energy.tolist()
    assert fewer.best(9).found.tolist() == (2 * archive.best(2).found).tolist()
    assert fewer.best(9).first.tolist() == archive.best(2).first.tolist()


def test_messages():
    with pytest.raises(ValueError, match="width must be positive, got 0"):
        Fingerprint(width=0)
