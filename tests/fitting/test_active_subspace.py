import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from adlayer import Structures, evaluate, load, save
from adlayer.data import Dataset
from adlayer.fitting import LeastSquares, fit
from adlayer.fitting.active_subspace import ActiveSubspace
from adlayer.nn.active_subspace import Channels
from adlayer.potentials.contracted_ace import ContractedACE
from adlayer.potentials.emt import EMT
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.uncertainty import Committee

BASIS = {"elements": ["Cu", "Au"], "cutoff": 4.0, "l_max": 2, "n_radial": 3, "pair": 2}


def crystals(n, seed=0):
    """Small rattled, strained alloys."""
    for k in range(n):
        atoms = bulk("Cu", "fcc", 3.8 + 0.01 * (k % 7), cubic=True)
        atoms.symbols[k % 4] = atoms.symbols[(k + k // 4) % 4] = "Au"
        atoms.rattle(0.15, seed=100 * seed + k)
        yield atoms


def labeled(potential, atoms):
    s = Structures.from_ase(list(atoms))
    return Dataset(s, evaluate(potential, s), tuple({"group": "", "weight": 1.0} for _ in range(s.n_systems)))


@pytest.fixture(scope="module")
def alloy():
    return labeled(EMT(["Cu", "Au"]), crystals(60)), labeled(EMT(["Cu", "Au"]), crystals(10, seed=1))


def test_finds_the_channels_the_energy_depends_on():
    """A teacher of one channel of each ``l``: the pupil finds these, and that there are no others."""
    rng = np.random.default_rng(0)
    clusters = [Atoms(rng.choice(["Cu", "Au"], 6), 1.4 * rng.normal(size=(6, 3))) for _ in range(60)]
    one = {**BASIS, "order": 2, "limits": [99.0]}
    teacher = ContractedACE(**one, channels=1)
    U, s, mean = teacher.channels
    generator = torch.Generator().manual_seed(1)
    teacher.contract(Channels(torch.randn(U.shape, generator=generator, dtype=U.dtype), s, mean))
    products = torch.tensor([len(f) == 2 or f[0].n < 4 for f in teacher.functions]).repeat(2)
    teacher.coefficients = 10 * products * teacher.coefficients  # ACE has no sums of one factor but the pair potential
    pupil = ContractedACE(**one, channels=3, first={"order": 2, "degree": [20.0]})
    fitted = ActiveSubspace({"ridge": 1e-13})(pupil, labeled(teacher, clusters))
    found = fitted.potential.parts[1].channels
    assert float((found.importance[..., 1:] / found.importance[..., :1]).max()) < 1e-3
    for mine, its in zip(found.contraction[:, :, 0].flatten(0, 1), teacher.contraction[:, :, 0].flatten(0, 1)):
        assert abs(float(torch.nn.functional.cosine_similarity(mine, its, dim=0))) == pytest.approx(1.0, abs=1e-5)
    assert fitted.metrics["train"]["forces_rmse"] < 1e-5
    assert [row["fit"] for row in fitted.history] == ["first", "contracted"]


def test_few_functions_of_these_channels_do_better_than_of_the_first_sums(alloy):
    first = {"order": 2, "degree": [5.0], "weight_l": 1.0}
    wider = {**BASIS, "cutoff": 4.5, "n_radial": 5, "pair": 4}
    potential = ContractedACE(**wider, order=3, channels=2, n_functions=20, first=first)
    errors = [f.metrics["valid"]["forces_rmse"] for f in (LeastSquares()(potential, *alloy), fit(potential, *alloy))]
    assert errors[1] < 0.8 * errors[0]


def test_elements_without_atoms_and_labels_of_energies_alone(alloy):
    """Channels of an element that does not occur are none, and are left out of what is asked of the others."""
    potential = ContractedACE(**{**BASIS, "elements": ["Cu", "Ag", "Au"]}, order=2, channels=2, n_functions=30)
    weights = {"energy": 1.0, "forces": 0.0, "stress": 0.0}
    fitted = ActiveSubspace({"weights": weights})(potential, alloy[0])
    contracted = fitted.potential.parts[1]
    assert not contracted.importance[1].any()
    assert contracted.n_functions == 6 + 2 + 3 * 3  # pair potential, sums, products: all there are
    assert fitted.metrics["train"]["energy_rmse"] < 0.01


def test_beside_other_parts_and_in_committees(alloy, tmp_path):
    """It is one term of a sum; committees of draws and of fits are saved with channels and functions of their own."""
    core = LennardJones(epsilon=0.01, sigma=1.5, cutoff=4.0)
    potential = core + ContractedACE(**BASIS, order=2, channels=2, limits=[7.0])
    for how in ("posterior", "bagged"):
        committee = Committee(members=3, how=how, calibrated=False).fit(potential, alloy[0][:20])
        loaded = load(save(tmp_path / f"{how}.adl", committee))
        a, b = (x(alloy[1].structures) for x in (committee, loaded))
        assert float(a.std.forces.min()) > 0
        torch.testing.assert_close(b.std.forces, a.std.forces)
        torch.testing.assert_close(b.forces, a.forces)


def test_what_it_cannot_fit(alloy):
    with pytest.raises(TypeError, match="fits one ContractedACE"):
        ActiveSubspace()(LennardJones(), alloy[0])
    with pytest.raises(ValueError, match="did you mean 'ridge'"):
        ActiveSubspace({"rigde": 1e-8})
