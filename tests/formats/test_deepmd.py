"""Models of DeePMD-kit: its own test cases, and what is written is what is read."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from adlayer import Graph, Structures, evaluate
from adlayer.checks import check_potential
from adlayer.formats import deepmd, read_potential, write_potential
from adlayer.potential import Potential, ReferenceEnergies
from adlayer.potentials.deep_potential import DeepPotential

yaml = pytest.importorskip("yaml")
REFERENCE = Path(__file__).parents[1] / "reference"


NAMES = ["pairs", "three", "hybrid", "attention", "strip", "no_attention", "steps", "messages", "blend"]


@pytest.mark.parametrize("name", NAMES)
def test_energies_forces_and_virials_are_those_of_its_wheel(name):
    path = REFERENCE / f"deepmd_{name}.yaml"
    compare(read_potential(path), yaml.safe_load(path.read_text())["results"])


def test_its_model_with_messages(shared):
    results = json.loads((REFERENCE / "deepmd_dpa.json").read_text())
    compare(read_potential(shared / "oracles" / "deepmd" / "deeppot_dpa.yaml"), results)


def compare(potential: Potential, results: list[dict]) -> None:
    for r in results:
        symbols, cell = [potential.elements[k] for k in r["types"]], r["cell"]
        atoms = Atoms(symbols, r["positions"], cell=cell, pbc=cell is not None)
        said = evaluate(potential, Structures.from_ase(atoms))
        forces = np.reshape(r["force"], (-1, 3))
        assert np.abs(forces).max() > 0.001
        np.testing.assert_allclose(said.energies, r["atom_energy"], rtol=0, atol=1e-10)
        np.testing.assert_allclose(said.forces, forces, rtol=0, atol=1e-10)
        if cell is not None:
            virial = np.reshape(r["virial"], (3, 3))
            np.testing.assert_allclose(said.stress[0] * -atoms.get_volume(), virial, rtol=0, atol=1e-10)


@pytest.fixture(params=[("deeppot_sea", "deeppot-testcase"), ("deeppot-r", "deeppot-r-testcase")], ids=["a", "r"])
def case(request, shared):
    """A model and the results that DeePMD-kit has for it, periodic and free."""
    folder = shared / "oracles" / "deepmd"
    model, results = request.param
    found = yaml.safe_load((folder / f"{results}.yaml").read_text())["results"]
    return read_potential(folder / f"{model}.yaml"), [r for r in found if "force" in r]


def test_energies_forces_and_virials_are_those_of_deepmd(case):
    potential, results = case
    assert {r["box"] is None for r in results} == {True, False}
    for r in results:
        box = None if r["box"] is None else np.reshape(r["box"], (3, 3))
        symbols = [potential.elements[k] for k in r["atype"]]
        atoms = Atoms(symbols, np.reshape(r["coord"], (-1, 3)), cell=box, pbc=box is not None)
        said = evaluate(potential, Structures.from_ase(atoms))
        wanted = {k: np.array(r[k], float) for k in ("atomic_energy", "force", "atomic_virial")}
        np.testing.assert_allclose(said.energies, wanted["atomic_energy"], rtol=0, atol=1e-10)
        np.testing.assert_allclose(said.forces, wanted["force"].reshape(-1, 3), rtol=0, atol=1e-10)
        if box is not None:
            virial = wanted["atomic_virial"].reshape(-1, 3, 3).sum(0)
            np.testing.assert_allclose(said.stress[0] * -atoms.get_volume(), virial, rtol=0, atol=1e-10)


def test_with_statistics_it_obeys_the_laws(case):
    check_potential(case[0], ["extensivity", "longer_list", "smoothness", "second_derivatives", "separation"])


SMALL = {
    "a": {"SeE2A": {"elements": ["O", "H"], "cutoff": 4.0, "embedding": [3, 6], "axis": 2, "one_side": False}},
    "r": {"SeE2R": {"elements": ["O", "H"], "cutoff": 4.0, "embedding": [2, 4], "timestep": True, "sel": [20, 30]}},
    "3": {"SeE3": {"elements": ["O", "H"], "cutoff": 3.0, "embedding": [2], "activation": "tanh_gelu"}},
}
ATTENTION = {"elements": ["O", "H"], "cutoff": 4.0, "embedding": [3, 6], "axis": 2, "attention": 4}
SMALL["attention"] = {"DPA1": {**ATTENTION, "channels": 4, "normalize": False}}
SMALL["strip"] = {"DPA1": {**ATTENTION, "strip": True, "one_side": True, "exclude": [["O", "H"]], "smooth": False}}
SMALL["no attention"] = {"DPA1": {**ATTENTION, "layers": 0, "with_element": False, "channels": 2, "sel": 40}}
SMALL["hybrid"] = {"Hybrid": {"parts": [SMALL["a"], SMALL["3"]]}}


@pytest.mark.parametrize("suffix", [".yaml", ".dp"])
@pytest.mark.parametrize("kind", SMALL)
def test_what_is_written_is_what_is_read(kind, suffix, tmp_path):
    if suffix == ".dp":
        pytest.importorskip("h5py")
    made = DeepPotential(["O", "H"], descriptor=SMALL[kind], hidden=[5, 5])
    water = Atoms("OH2OH2", np.random.default_rng(0).uniform(0, 5, (6, 3)), cell=[5, 5, 5], pbc=True)
    structures = Structures.from_ase(water)
    made.prepare([Graph.of(structures, made.cutoff)])
    whole = made + ReferenceEnergies({"H": -3.0, "O": -20.0})
    path = tmp_path / f"model{suffix}"
    write_potential(path, whole)
    read = read_potential(path)
    before, after = evaluate(whole, structures), evaluate(read, structures)
    torch.testing.assert_close(after.energies, before.energies, rtol=0, atol=1e-12)
    torch.testing.assert_close(after.forces, before.forces, rtol=0, atol=1e-11)


def test_other_files_are_refused(tmp_path):
    other = tmp_path / "recipe.yaml"
    other.write_text("title: nothing\n")
    assert not deepmd.recognizes(other)
    with pytest.raises(ValueError, match="not a model that DeePMD-kit serialized"):
        deepmd.read(other)
    messages = tmp_path / "messages.yaml"
    text = (REFERENCE / "deepmd_messages.yaml").read_text()
    messages.write_text(text.replace("type: dpa2", "type: dpa3"))
    with pytest.raises(ValueError, match="has a descriptor 'dpa3'; those that are read are hybrid, se_e2_a"):
        deepmd.read(messages)
    messages.write_text(text.replace("update_h2: false", "update_h2: true"))
    with pytest.raises(ValueError, match="dpa2 with update_h2 = True is not read, only False"):
        deepmd.read(messages)
    centered = tmp_path / "centered.yaml"
    tree = yaml.safe_load((REFERENCE / "deepmd_attention.yaml").read_text())
    davg = tree["model"]["descriptor"]["@variables"]["davg"]
    davg["value"] = (np.array(davg["value"]) + [0.1, 0, 0, 0]).tolist()
    centered.write_text(yaml.safe_dump(tree))
    with pytest.raises(ValueError, match="davg other than 0 is not read where one network serves all elements"):
        deepmd.read(centered)
    with pytest.raises(TypeError, match="deepmd holds a DeepPotential"):
        deepmd.write(other, ReferenceEnergies({"H": 0.0}))
