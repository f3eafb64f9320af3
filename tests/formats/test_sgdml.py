from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from adlayer import Structures, evaluate
from adlayer.data import Dataset
from adlayer.fitting.gradient_domain import GradientDomain
from adlayer.formats import read_potential, sgdml, write_potential
from adlayer.potential import Prediction
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.potentials.sgdml import SGDML
from adlayer.units import BOHR, HARTREE, KCAL_PER_MOL

REFERENCE = Path(__file__).parents[1] / "reference"


def structures_of(positions, lattice):
    cell = None if lattice is None else np.transpose(lattice)
    return Structures.from_ase([Atoms("NH3", r, cell=cell, pbc=cell is not None) for r in positions])


def in_ev(x, *shape):
    return KCAL_PER_MOL * torch.tensor(x, dtype=torch.float64).reshape(-1, *shape)


@pytest.mark.parametrize("name", ["free", "cell"])
def test_models_of_sgdml(name, reference):
    """Same predictions from its file; in the cell atoms lie anywhere, and nearest images find together."""
    table = reference("sgdml.json")[name]
    made = read_potential(REFERENCE / f"sgdml_{name}.npz")
    assert isinstance(made, SGDML)
    said = evaluate(made, structures_of(table["positions"], table["lattice"]))
    torch.testing.assert_close(said.energy, in_ev(table["energy"]), rtol=0, atol=1e-8)
    torch.testing.assert_close(said.forces, in_ev(table["forces"], 3), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", ["free", "cell"])
@pytest.mark.parametrize("solver", ["analytic", "iterative"])
def test_trained_as_sgdml(name, solver, reference):
    """Same permutations found, and same predictions from the same frames."""
    table = reference("sgdml.json")[name]
    train = table["training"]
    labels = Prediction(in_ev(train["E"]), in_ev(train["F"], 3))
    data = Dataset(structures_of(train["R"], table["lattice"]), labels)
    # The iterative solver is a different way to the same answer: with a ridge for which it is well conditioned.
    fits = [
        GradientDomain(solver=s, ridge=1e-10 if solver == "analytic" else 1e-6, tolerance=1e-12)
        for s in ("analytic", solver)
    ]
    fitted = [fit(SGDML(sigma=4.0), data).potential for fit in fits]
    assert sorted(fitted[1].permutations.tolist()) == table["permutations"]
    s = structures_of(table["positions"], table["lattice"])
    first, second = (evaluate(p, s) for p in fitted)
    if solver == "analytic":
        first = Prediction(in_ev(table["energy"]), in_ev(table["forces"], 3))
    torch.testing.assert_close(second.energy, first.energy, rtol=0, atol=1e-5)
    torch.testing.assert_close(second.forces, first.forces, rtol=0, atol=1e-5)


def test_units(reference, tmp_path):
    """The same model in bohr and hartree."""
    with np.load(REFERENCE / "sgdml_free.npz", allow_pickle=True) as file:
        model = dict(file)
    for name in ("R_desc", "sig", "R_d_desc_alpha"):
        model[name] = model[name] * BOHR
    for name in ("std", "c"):
        model[name] = model[name] * KCAL_PER_MOL / HARTREE
    np.savez(tmp_path / "atomic.npz", **{**model, "r_unit": "bohr", "e_unit": "hartree"})
    s = structures_of(reference("sgdml.json")["free"]["positions"], None)
    a, b = (evaluate(read_potential(f), s) for f in (REFERENCE / "sgdml_free.npz", tmp_path / "atomic.npz"))
    torch.testing.assert_close(a.energy, b.energy)
    torch.testing.assert_close(a.forces, b.forces)


def test_written_models_read_back(tmp_path):
    made = sgdml.read(REFERENCE / "sgdml_cell.npz")
    write_potential(tmp_path / "model.npz", made, "sgdml")
    again = read_potential(tmp_path / "model.npz")
    for name, x in made.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], x)
    with np.load(REFERENCE / "sgdml_cell.npz", allow_pickle=True) as theirs, np.load(tmp_path / "model.npz") as ours:
        assert set(ours.files) <= set(theirs.files)
        # The order of permutations is free: that of their pairs must be the same.
        P = len(ours["perms"])
        order = [theirs["perms"].tolist().index(p) for p in ours["perms"].tolist()]
        D = ours["R_desc"].shape[0]
        a, b = (m["tril_perms_lin"].reshape((P, D), order="F") % D for m in (ours, theirs))
        np.testing.assert_array_equal(a, b[order])


def test_messages(tmp_path):
    with pytest.raises(TypeError, match="not a LennardJones"):
        sgdml.write(tmp_path / "a.npz", LennardJones())
    with pytest.raises(ValueError, match=r"must end in \.npz"):
        sgdml.write(tmp_path / "a", SGDML(**SGDML.small))
    with np.load(REFERENCE / "sgdml_free.npz", allow_pickle=True) as file:
        model = dict(file)
    np.savez(tmp_path / "units.npz", **{**model, "e_unit": "eVs"})
    with pytest.raises(ValueError, match="e_unit is 'eVs'"):
        read_potential(tmp_path / "units.npz")
    np.savez(tmp_path / "energies.npz", **model, alphas_E=np.zeros(3))
    with pytest.raises(ValueError, match="trained on energies too"):
        read_potential(tmp_path / "energies.npz")
    np.savez(tmp_path / "task.npz", **{**model, "type": "t"})
    with pytest.raises(ValueError, match="its type is t"):
        read_potential(tmp_path / "task.npz")
