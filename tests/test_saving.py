import json
import zipfile

import numpy as np
import pytest
import torch
from conftest import silicon

from adlayer import ReferenceEnergies, Structures, evaluate
from adlayer.potentials.lennard_jones import LennardJones
from adlayer.saving import atomic, load, read_about, save, write_json


@pytest.fixture
def potential():
    return LennardJones(0.01, 2.1, 5.0) + ReferenceEnergies({"Si": -3.0, "H": -0.5})


def test_the_same_digits(tmp_path, potential):
    potential.parts[0].epsilon.data *= 1.7  # learned, not chosen
    s = Structures.from_ase([silicon("slab"), silicon("cluster")])
    loaded = load(save(tmp_path / "p.adl", potential, seed=4, recipe="x = 1"))
    assert torch.equal(evaluate(loaded, s).forces, evaluate(potential, s).forces)
    about = read_about(tmp_path / "p.adl")
    assert about["seed"] == 4
    assert about["versions"]["torch"] == torch.__version__


def test_single_precision_is_kept(tmp_path, potential):
    loaded = load(save(tmp_path / "p.adl", potential.parts[0].float()))
    assert loaded.dtype == torch.float32


def test_the_file_is_readable_without_pickle(tmp_path, potential):
    save(tmp_path / "p.adl", potential)
    with zipfile.ZipFile(tmp_path / "p.adl") as archive:
        assert "LennardJones" in json.loads(archive.read("potential.json"))["potential"]["Sum"]["parts"][0]


def test_clear_sentences(tmp_path, potential):
    save(tmp_path / "good.adl", potential)
    with pytest.raises(FileNotFoundError, match=r"no file .*bad\.adl; there are good\.adl"):
        load(tmp_path / "bad.adl")
    (tmp_path / "text.adl").write_text("hello")
    with pytest.raises(ValueError, match="is not a potential saved by adlayer"):
        load(tmp_path / "text.adl")
    data = (tmp_path / "good.adl").read_bytes()
    (tmp_path / "short.adl").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="is not a potential saved by adlayer"):
        load(tmp_path / "short.adl")


def test_whole_or_not_at_all(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")

    def write_half():
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_of_arrays(tmp_path):
    write_json(tmp_path / "a.json", {"x": np.arange(3), "y": torch.tensor(2.0), "z": np.float64(1.5)})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": [0, 1, 2], "y": 2.0, "z": 1.5}
