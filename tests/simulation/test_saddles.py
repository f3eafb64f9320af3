"""Saddles found from one side are those that paths lead over, and have one negative curvature."""

import numpy as np
import pytest
import torch
from ase.build import molecule
from ase.calculators.emt import EMT as AseEMT
from hops import hop
from wells import Harmonic, MuellerBrown, atoms_at_rest

from adlayer import Evaluator, Structures
from adlayer.potentials.emt import EMT
from adlayer.reference import calculator_evaluate
from adlayer.simulation import NEB, Dimer, interpolate, lowest_modes, relax, run
from adlayer.simulation.curvature import rigid_motions
from adlayer.simulation.state import fixed_atoms


def test_mueller_brown():
    """Two searches in one batch, each to its own saddle."""
    start = MuellerBrown.at((-0.75, 0.95), MuellerBrown.MINIMA[2], beside=1)
    towards = torch.tensor([[-0.3, -1.0, 0], [0, 0, 0], [-1.0, 0.8, 0], [0, 0, 0]], dtype=torch.float64)
    held = torch.tensor([False, True] * 2)
    done = run(Dimer(fmax=1e-4), MuellerBrown(), start, fixed=held, mode=towards)
    assert done.finished.all()
    assert np.allclose(done.structures.positions[::2, :2], MuellerBrown.SADDLES, atol=1e-4)
    assert max(done.steps) < 40


def test_curvatures():
    """Against the Hessian's own eigenvalues, all of them, at all stationary points at once."""
    model = MuellerBrown()
    points = [*MuellerBrown.SADDLES, *MuellerBrown.MINIMA]
    s = MuellerBrown.at(*points, beside=1)
    free = torch.tensor([True, False] * 5)
    found = lowest_modes(model, s, free, 3, delta=0.002)
    h = 1e-4
    for k, (x, y) in enumerate(points):
        near = [(x + h, y), (x - h, y), (x, y + h), (x, y - h)]
        F = model(MuellerBrown.at(*near)).forces[:, :2]
        H = -torch.stack([F[0] - F[1], F[2] - F[3]]) / (2 * h)
        expected = np.sort([*np.linalg.eigvalsh((H + H.T).numpy() / 2), 20.0])
        assert np.allclose(found.curvatures[k], expected, atol=2e-3)
    assert (found.curvatures < 0).sum(1).tolist() == [1, 1, 0, 0, 0]
    assert found.residuals.max() < 0.05


def test_more_modes_than_freedom():
    s = atoms_at_rest(2, 2)
    found = lowest_modes(Harmonic(s.positions[:2].repeat(2, 1)), s, torch.tensor([True, False] * 2), 4)
    assert torch.allclose(found.curvatures[:, :3], torch.full((2, 3), 2.0, dtype=torch.float64))
    assert found.curvatures[:, 3].isnan().all()


def test_motions_that_cost_nothing():
    water, chain = molecule("H2O"), molecule("H2O")
    chain.set_cell([4.0, 0, 0])
    chain.pbc = (True, False, False)
    slab = chain.copy()
    slab.set_cell([4.0, 4.0, 0])
    slab.pbc = (True, True, False)
    s = Structures.from_ase([water, chain, slab, molecule("CO"), water])
    free = torch.ones(s.n_atoms, dtype=torch.bool)
    free[-1] = False
    rigid = rigid_motions(s, free)
    counts = [int((m.flatten(0, 1).norm(dim=0) > 0.5).sum()) for m in rigid.split(s.counts.tolist())]
    assert counts == [6, 4, 3, 5, 0]


def test_as_the_band_does():
    """An adatom on Cu(100): the dimer, from the minimum alone, and the band find one saddle; it is a saddle."""
    evaluate = Evaluator(EMT(["Cu"]), stress=False)
    ends = relax(evaluate, hop("100"), fmax=0.005).frames
    images, path = interpolate([ends[0]], [ends[1]], 5)
    held = fixed_atoms([ends[0]])
    band = run(NEB(fmax=0.01), evaluate, images, path=path, fixed=held.repeat(5))
    towards = torch.zeros(len(ends[0]), 3, dtype=torch.float64)
    towards[-1] = torch.from_numpy(ends[1].positions[-1] - ends[0].positions[-1])
    dimer = run(Dimer(fmax=0.01), evaluate, [ends[0]], mode=towards)
    assert dimer.finished.all()
    assert dimer.prediction.energy.item() == pytest.approx(float(band.prediction.energy.max()), abs=1e-3)
    index = [
        int((lowest_modes(evaluate, x, ~held, 2).curvatures < 0).sum())
        for x in (Structures.from_ase(ends[0]), dimer.structures, band.structures[[2]])
    ]
    assert index == [0, 1, 1]


def test_messages():
    evaluate = calculator_evaluate(AseEMT())
    start = hop("100")[0]
    with pytest.raises(ValueError, match="shape of the positions"):
        run(Dimer(), evaluate, [start], mode=torch.zeros(2, 3))
    with pytest.raises(ValueError, match="needs a direction"):
        run(Dimer(), evaluate, [start], mode=torch.zeros(len(start), 3))
