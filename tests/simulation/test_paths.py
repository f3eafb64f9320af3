"""Paths lead over the exact saddles, and over those that ASE's nudged elastic band finds, for fewer forces."""

import time

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT as AseEMT
from ase.mep import NEB as AseNEB
from ase.optimize import BFGS
from hops import FACES, hop
from wells import MuellerBrown

from adlayer import Evaluator, Structures
from adlayer.potentials.emt import EMT
from adlayer.reference import calculator_evaluate
from adlayer.simulation import NEB, StringMethod, interpolate, relax, run
from adlayer.simulation.interpolation import minimum_image

A, B, C = MuellerBrown.MINIMA
EXACT = MuellerBrown.ENERGIES["saddles"]


def two_paths(n_images=9):
    return interpolate(MuellerBrown.at(A, B), MuellerBrown.at(B, C), n_images, "linear")


@pytest.mark.parametrize(
    "engine",
    [
        NEB(fmax=1e-4),
        NEB(fmax=1e-3, optimizer="FIRE"),
        NEB(fmax=1e-4, spring=[2.0, 8.0]),
        StringMethod(fmax=1e-4),
        StringMethod(fmax=1e-3, optimizer="FIRE"),
    ],
)
def test_mueller_brown(engine):
    images, path = two_paths()
    done = run(engine, MuellerBrown(), images, path=path, every=1000)
    assert done.finished.all()
    energies = done.prediction.energy.reshape(2, 9)
    places = done.structures.positions.reshape(2, 9, 3)[[0, 1], energies.argmax(1), :2]
    assert np.allclose(energies.amax(1), EXACT, atol=1e-6)
    assert np.allclose(places, MuellerBrown.SADDLES, atol=1e-3)
    assert done.steps[0] > done.steps[-1]  # each path leaves when it is found
    assert len(set(done.steps[:9])) == len(set(done.steps[9:])) == 1


def test_images_gather_or_spread():
    """A string keeps equal distances on either side of the saddle; without an image that climbs, everywhere."""
    images, path = two_paths()
    done = run(StringMethod(fmax=1e-3, climb=False), MuellerBrown(), images, path=path)
    steps = done.structures.positions.reshape(2, 9, 3).diff(dim=1).norm(dim=-1)
    assert torch.allclose(steps, steps.mean(1, keepdim=True), rtol=0.01)
    even, gathered = (run(NEB(fmax=1e-3, spring=k), MuellerBrown(), images, path=path) for k in (5.0, [1.0, 10.0]))
    near = [r.structures.positions.reshape(2, 9, 3)[0].diff(dim=0).norm(dim=-1) for r in (even, gathered)]
    at = int(even.prediction.energy[:9].argmax())
    assert near[1][at] < 0.8 * near[0][at]


def test_ends_cost_nothing_and_stay():
    model = MuellerBrown()
    images, path = two_paths()
    done = run(NEB(fmax=1e-3), model, images, path=path)
    assert model.calls == 18 + 7 * (done.steps[0] + done.steps[-1])
    ends = [0, 8, 9, 17]
    assert torch.equal(done.structures[ends].positions, images[ends].positions)


def ase_barrier(ends, n_images, fmax):
    calls = []

    class Counted(AseEMT):
        def calculate(self, *args, **kwargs):
            calls.append(1)
            super().calculate(*args, **kwargs)

    begun = time.process_time()
    images = [ends[0].copy() for _ in range(n_images - 1)] + [ends[1].copy()]
    for image in images:
        image.calc = Counted()
    band = AseNEB(images, method="improvedtangent", climb=True)
    band.interpolate("idpp", mic=True)
    BFGS(band, logfile=None).run(fmax=fmax, steps=200)
    energies = [image.get_potential_energy() for image in images]
    return max(energies) - energies[0], len(calls), time.process_time() - begun


def test_copper_as_ase_does():
    """Hops on three faces, one batch: within 1 meV of ASE, for fewer forces and less time, with ASE's own EMT."""
    theirs, ours, spent, counted = [], [], [0.0, 0.0], [0, 0]
    evaluate = calculator_evaluate(AseEMT())

    def counting(structures):
        counted[1] += len(structures)
        return evaluate(structures)

    relaxed = relax(Evaluator(EMT(["Cu"])), [end for face in FACES for end in hop(face)], fmax=0.005).frames
    pairs = [relaxed[k : k + 2] for k in (0, 2, 4)]
    for pair in pairs:
        barrier, calls, seconds = ase_barrier(pair, 7, 0.02)
        theirs.append(barrier)
        counted[0] += calls
        spent[0] += seconds
    begun = time.process_time()
    images, path = interpolate([p[0] for p in pairs], [p[1] for p in pairs], 7)
    fixed = torch.cat([torch.from_numpy(np.tile(p[0].get_tags() > 2, 7)) for p in pairs])
    done = run(NEB(fmax=0.02), counting, images, path=path, fixed=fixed)
    spent[1] = time.process_time() - begun
    energies = done.prediction.energy.reshape(3, 7)
    ours = (energies.amax(1) - energies[:, 0]).tolist()
    assert done.finished.all()
    assert np.allclose(ours, theirs, rtol=0, atol=1e-3)
    assert counted[1] < 0.8 * counted[0]
    assert spent[1] < spent[0]
    string = run(StringMethod(fmax=0.02), Evaluator(EMT(["Cu"])), images, path=path, fixed=fixed)
    energies = string.prediction.energy.reshape(3, 7)
    assert np.allclose(energies.amax(1) - energies[:, 0], ours, rtol=0, atol=1e-3)
    assert torch.equal(string.structures.positions[fixed], images.positions[fixed])


def test_killed_and_resumed(tmp_path):
    """The same digits as a run that nobody disturbed."""

    class Killed(Exception):
        pass

    images, path = two_paths()
    undisturbed = run(NEB(fmax=1e-3), MuellerBrown(), images, path=path)
    model = MuellerBrown()

    def dying(structures):
        if model.calls > 150:
            raise Killed
        return model(structures)

    settings = {"path": path, "checkpoint": tmp_path / "neb.pt", "checkpoint_every": 4}
    with pytest.raises(Killed):
        run(NEB(fmax=1e-3), dying, images, **settings)
    resumed = run(NEB(fmax=1e-3), MuellerBrown(), images, **settings)
    assert torch.equal(resumed.structures.positions, undisturbed.structures.positions)
    assert np.array_equal(resumed.steps, undisturbed.steps)


def test_a_path_ends_as_a_whole():
    images, path = two_paths()
    model = MuellerBrown()

    def broken(structures):
        said = model(structures)
        if model.calls > 60:  # one image of the first path
            said.energy[2] = torch.nan
        return said

    done = run(NEB(fmax=1e-3), broken, images, path=path)
    assert "not finite" in done.reason[0]
    assert done.reason[:9] == [done.reason[0]] * 9


def test_shortest_way_across_the_edge():
    cell = bulk("Cu") * (3, 3, 3)  # skewed
    there, (k,) = cell.copy(), [5]
    there.positions[k] += 0.4
    there.positions += cell.cell[0] - 2 * cell.cell[2]
    there.wrap()
    images, _ = interpolate(cell, there, 5, "linear")
    steps = images.positions.reshape(5, -1, 3).diff(dim=0)
    assert steps.norm(dim=-1).max() < 0.2
    s = Structures.from_ase(cell)
    d = torch.randn(s.n_atoms, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 8
    from ase.geometry import find_mic

    assert np.allclose(minimum_image(d, s).norm(dim=-1), find_mic(d.numpy(), cell.cell, True)[1])


def test_idpp_keeps_atoms_apart():
    """A molecule turned by a third of a turn: on straight lines its bonds shrink."""
    start = molecule("C2H4")
    end = start.copy()
    end.rotate(120, "z", center=end.positions.mean(0))
    shortest = {}
    for how in ("linear", "idpp"):
        images, _ = interpolate(start, end, 9, how)
        shortest[how] = min(a.get_all_distances()[np.triu_indices(6, 1)].min() for a in images.to_ase())
    assert shortest["linear"] < 0.75
    assert shortest["idpp"] > 1.0


def test_messages():
    start, end = hop("100")
    other = end.copy()
    other.symbols[0] = "Ag"
    swapped = other[[1, 0, *range(2, len(other))]]
    for wrong, sentence in (
        (end[1:], "13 and 12 atoms"),
        (other, "atom 0 is Cu in one and Ag in the other; a path keeps its elements"),
        (Atoms(end, cell=end.cell * 1.01), "different cells"),
        (Atoms(end, pbc=True), "different cells or periodic axes"),
    ):
        with pytest.raises(ValueError, match=sentence):
            interpolate(start, wrong)
    with pytest.raises(ValueError, match="put the atoms in the same order"):
        interpolate(other, swapped)
    with pytest.raises(ValueError, match="at least 3 images"):
        interpolate(start, end, 2)
    with pytest.raises(ValueError, match="'idpp' or 'linear', got 'spline'"):
        interpolate(start, end, 5, "spline")
    moved = end.copy()
    moved.positions[:4] += 0.2
    with pytest.raises(ValueError, match=r"fixed moves by 0.2 Å"):
        interpolate(start, moved)
    evaluate = calculator_evaluate(AseEMT())
    with pytest.raises(ValueError, match="the same structure"):
        run(NEB(), evaluate, [start, start, end])
    with pytest.raises(ValueError, match="must follow one another"):
        run(NEB(), evaluate, [start] * 6, path=[0, 1, 0, 1, 0, 1])
    with pytest.raises(ValueError, match="'LBFGS' or 'FIRE'"):
        NEB(optimizer="BFGS")
