"""Free energies from biased samples: exact for oscillators, and those of a double well by every method."""

import json

import numpy as np
import pytest
import torch
from ase import Atoms

from adlayer import Prediction, Structures
from adlayer.analysis.free_energy import landmarks, mbar, numbers, wham
from adlayer.analysis.metadynamics_sampling import MetadynamicsSampling
from adlayer.analysis.reweighting import free_energies
from adlayer.analysis.steered_pulling import SteeredPulling
from adlayer.analysis.umbrella_sampling import UmbrellaSampling
from adlayer.config import build, describe
from adlayer.simulation import Spring
from adlayer.simulation.biased import Coordinate
from adlayer.structures import sum_systems
from adlayer.units import BOLTZMANN

T = 300.0
kT = BOLTZMANN * T
HEIGHT, TILT = 0.15, 0.02  # eV, eV/Å: a barrier of 6.6 k_B T


def double_well(structures: Structures) -> Prediction:
    """``h (x² - 1)² + t x + y² + z²``."""
    x, y, z = structures.positions.unbind(-1)
    energy = HEIGHT * (x * x - 1) ** 2 + TILT * x + y * y + z * z
    forces = -torch.stack([4 * HEIGHT * x * (x * x - 1) + TILT, 2 * y, 2 * z], -1)
    return Prediction(sum_systems(energy, structures), forces)


def exact(x: np.ndarray) -> np.ndarray:
    F = HEIGHT * (x * x - 1) ** 2 + TILT * x
    return F - F.min()


MADE = {"atom": [Atoms("He", [[-1.0, 0, 0]])]}
X = Coordinate(0, "x")


def oscillators(n=4000, seed=0):
    """Samples of four harmonic oscillators, and the potential of each of them there over ``k_B T``."""
    rng = np.random.default_rng(seed)
    k, x0 = np.array([1.0, 2.0, 4.0, 9.0]), np.array([0.0, 0.5, 0.8, 1.2])
    x = [rng.normal(b, a**-0.5, n) for a, b in zip(k, x0)]
    return k, x, [0.5 * k[:, None] * (s - x0[:, None]) ** 2 for s in x]


def test_free_energies_of_oscillators():
    k, _, u = oscillators()
    f = free_energies(np.concatenate(u, 1), np.full(4, 4000))
    assert np.allclose(f, 0.5 * np.log(k / k[0]), atol=0.05)
    pymbar = pytest.importorskip("pymbar")
    theirs = pymbar.MBAR(np.concatenate(u, 1), np.full(4, 4000)).f_k
    assert np.allclose(f, theirs - theirs[0], atol=1e-6)


def test_histograms_and_samples_agree():
    """Flat space seen through the oscillators: no free energy anywhere, by either method."""
    k, x, u = oscillators(20000)
    edges = np.linspace(-0.5, 1.5, 81)
    centers = 0.5 * (edges[1:] + edges[:-1])
    bias = 0.5 * k[:, None] * (centers - np.array([0.0, 0.5, 0.8, 1.2])[:, None]) ** 2
    by_samples, f = mbar(x, u, edges)
    by_bins, g = wham(np.stack([np.histogram(s, edges)[0] for s in x]), bias)
    assert (by_samples - by_samples.mean()).std() < 0.05
    assert (by_bins - by_bins.mean()).std() < 0.05
    assert np.allclose(by_bins - by_bins.mean(), by_samples - by_samples.mean(), atol=0.05)
    assert np.allclose(f, 0.5 * np.log(k / k[0]), atol=0.05)
    assert len(g) == 4


def test_states_that_do_not_overlap_are_told():
    x = np.array([0.0, 0.1, 100.0, 100.1])
    u = 0.5 * np.stack([x, x - 100]) ** 2
    with pytest.raises(ValueError, match="do not overlap"):
        free_energies(u, np.array([2, 2]))


def umbrella(ps: float, windows=64) -> UmbrellaSampling:
    settings = {"windows": windows, "picoseconds": ps, "equilibration": 0.2, "timestep": 3.0, "friction": 0.04}
    return UmbrellaSampling("atom", X, -1.5, 1.5, stiffness=2.0, record=4, **settings)


def metadynamics(ps: float, **changes) -> MetadynamicsSampling:
    settings = {"height": 0.002, "bias_factor": 5.0, "every": 60, "walkers": 64, "picoseconds": ps, "timestep": 3.0}
    settings |= {"variables": [X], "widths": [0.15], "ranges": [[-1.5, 1.5]], "friction": 0.005, "record": 5} | changes
    return MetadynamicsSampling("atom", **settings)


def expected(found) -> dict[str, float]:
    """What the exact profile says of valleys and barrier, in the same bins."""
    s = np.array(found.data["s"])
    return values(landmarks(s, exact(s), np.zeros((0, len(s))), kT, "Å"))


def values(quantities) -> dict[str, float]:
    return {q.name.split(" from")[0]: q.value for q in quantities}


def error(found, key="free energy (eV)") -> np.ndarray:
    """Difference from the exact profile, in ``k_B T``, where that is below 7 ``k_B T``."""
    s, F = np.array(found.data["s"]), np.array(found.data[key], float)
    off = ((F - exact(s)) / kT)[exact(s) < 7 * kT]
    return off - off.mean()


@pytest.mark.parametrize("analysis", [umbrella(2.5), metadynamics(4.0)], ids=lambda a: type(a).__name__)
def test_double_well(analysis):
    found = analysis(double_well, MADE)
    assert error(found).std() < 0.25
    assert error(found, "other estimate (eV)").std() < 0.35
    std = np.array(found.data["std (eV)"], float) / kT
    assert 0.01 < np.nanmedian(std) < 0.3
    for name, value in expected(found).items():
        assert values(found.quantities)[name] == pytest.approx(value, abs=0.1 if "valley" in name else 0.4 * kT)
    assert found.data["rms change (eV)"][-1] == 0
    assert analysis.plot({"well": found}).axes[0].get_xlabel() == "coordinate (Å)"
    json.dumps(found.data, allow_nan=False)
    assert describe(build(describe(analysis))) == describe(analysis)


@pytest.mark.slow
def test_double_well_within_a_tenth_of_kT_by_both():
    found = [
        analysis(double_well, MADE) for analysis in (umbrella(24.0, 128), metadynamics(24.0, walkers=128, every=150))
    ]
    for one in found:
        assert error(one).std() < 0.06
        assert abs(error(one)).max() < 0.2
        for name, value in expected(one).items():
            assert values(one.quantities)[name] == pytest.approx(value, abs=0.1 if "valley" in name else 0.1 * kT)
    assert (error(found[0]) - error(found[1])).std() < 0.1


def test_pulling_a_spring():
    analysis = SteeredPulling(
        "atom", X, -1.0, 1.0, 20.0, replicas=48, picoseconds=2.0, equilibration=0.2, timestep=3.0, friction=0.02
    )
    found = analysis(double_well, MADE)
    difference, _, dissipated = found.quantities
    assert difference.value == pytest.approx(2 * TILT, abs=3 * difference.std + 0.2 * kT)
    assert 0 < dissipated.value < 4 * kT
    assert len(analysis.plot({"well": found}).axes) == 1
    json.dumps(found.data, allow_nan=False)


def test_two_variables_and_a_wall():
    changes = {"variables": [X, Coordinate(0, "y")], "widths": [0.15, 0.15], "ranges": [[-1.5, 1.5], [-0.6, 0.6]]}
    analysis = metadynamics(0.6, bins=20, walls=[Spring(X, 0.0, 50.0, side="above")], **changes)
    found = analysis(double_well, MADE)
    F = numbers(found.data["free energy (eV)"])
    assert F.shape == (20, 20)
    assert np.isnan(F[15:]).all()  # behind the wall
    assert np.nanargmin(F) // 20 in range(2, 6)
    assert len(analysis.plot({"well": found}).axes) >= 3


@pytest.mark.parametrize(
    "make", [lambda: umbrella(0.6, windows=8), lambda: metadynamics(0.6)], ids=["umbrella", "meta"]
)
def test_goes_on_where_it_was_killed(make, tmp_path):
    calls = []

    def dies(structures):
        calls.append(1)
        if len(calls) == 150:
            raise KeyboardInterrupt
        return double_well(structures)

    expected = make()(double_well, MADE, seed=3)
    with pytest.raises(KeyboardInterrupt):
        make()(dies, MADE, folder=tmp_path, seed=3)
    found = make()(double_well, MADE, folder=tmp_path, seed=3)
    assert found.data == expected.data
    assert found.quantities == expected.quantities


def test_bad_sampling_is_one_sentence():
    with pytest.raises(ValueError, match=r"two or more\), got 2"):
        umbrella(1.0, windows=3)(double_well, {"atom": MADE["atom"] * 2})
    with pytest.raises(ValueError, match="a range for each"):
        metadynamics(1.0, ranges=[])(double_well, MADE)
