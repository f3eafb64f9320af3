"""Surfaces in equilibrium with a gas: lines, windows and shapes against what follows by hand."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from adlayer import Prediction, Structures
from adlayer.analysis.thermodynamics import SurfaceThermodynamics, chemical_potentials, stability


def slab(symbols: str, pattern: str, times: int = 1) -> Atoms:
    atoms = Atoms(symbols, cell=[3.0, 3.0 * times, 0], pbc=(1, 1, 0))
    atoms.positions[:, 2] = 2.0 * np.arange(len(atoms))
    atoms.info["pattern"] = pattern
    return atoms


ENERGIES = {"Cu": -3.0, "O2": -10.0, "CuO": -9.0, "Cu4": -10.0, "Cu4O2": -24.0, "Cu4O4": -36.0, "Cu8O2": -34.5}
ENERGIES["Cu4Ni"] = -12.0


@pytest.fixture
def made():
    return {
        "cu": [Atoms("Cu", cell=[2.3] * 3, pbc=True)],
        "clean": [slab("Cu4", "clean")],
        "covered": [slab("OCu4O", "covered"), slab("O2Cu4O2", "oxide")],
    }


def evaluate(structures: Structures) -> Prediction:
    """Energies from a book, by formula; nothing moves."""
    energy = torch.tensor([ENERGIES[a.get_chemical_formula()] for a in structures.to_ase()], dtype=torch.float64)
    stress = torch.zeros(structures.n_systems, 3, 3, dtype=torch.float64)
    return Prediction(energy, torch.zeros_like(structures.positions), stress)


def test_lines_and_windows(made):
    analysis = SurfaceThermodynamics(["clean", "covered"], "cu", "O2", span=[-4.0, 0.0])
    found = analysis(evaluate, made)
    lines = found.data["lines"]
    # clean: (-10 + 12) / 18; covered: (-24 + 12 + 10 - 2 dmu) / 18; oxide: (-36 + 12 + 20 - 4 dmu) / 18
    assert lines["clean"] == pytest.approx((2 / 18, 0))
    assert lines["covered"] == pytest.approx((-2 / 18, -2 / 18))
    assert lines["oxide"] == pytest.approx((-4 / 18, -4 / 18))
    windows = found.data["windows"]  # clean and covered cross at -2; covered and oxide at -1
    assert windows["clean"] == pytest.approx((-4, -2))
    assert windows["covered"] == pytest.approx((-2, -1))
    assert windows["oxide"] == pytest.approx((-1, 0))
    figure = analysis.plot({"book": found})
    assert len(figure.axes) == 1


def test_against_a_clean_slab_of_another_size(made):
    made = {"cu": made["cu"], "clean": made["clean"], "one": [slab("O2Cu8", "one", times=2)]}
    found = SurfaceThermodynamics(["one"], "cu", "O2", clean="clean")(evaluate, made)
    # (-34.5 + 20 + 10 - 2 dmu) / 18, one side counted
    assert found.data["lines"]["one"] == pytest.approx((-4.5 / 18, -2 / 18))


def test_an_oxide_gives_the_metal():
    oxide, clean = Atoms("CuO", [[0, 0, 0], [0, 0, 2]]), slab("Cu4", "clean")
    mu = chemical_potentials([oxide], [-9.0], "O", -5.0, [clean])
    assert mu["O"] == pytest.approx((-5, 1))
    assert mu["Cu"] == pytest.approx((-4, -1))


def test_windows_of_parallel_and_of_useless_lines():
    lines = {"low": (1.0, 0.0), "high": (2.0, 0.0), "steep": (3.0, 1.0)}
    found = stability(lines, np.linspace(-3, 0, 7))
    assert found == {"steep": (-3.0, -2.0), "low": (-2.0, 0.0)}


def test_shapes():
    cu = bulk("Cu", "fcc", a=3.6, cubic=True)
    made = {"cu": [Atoms("Cu", cell=[2.3] * 3, pbc=True)], "a": [slab("Cu4", "a")], "b": [slab("OCu4O", "b")]}
    analysis = SurfaceThermodynamics(["a", "b"], "cu", "O2", span=[-4, -2], planes={"a": [1, 0, 0], "b": [1, 1, 1]})
    shares = analysis(evaluate, made | {"cu": [cu[:1]]}).data["shares"]
    assert set(shares) == {"mu", "100", "111"}
    total = np.array(shares["100"]) + np.array(shares["111"])
    assert total == pytest.approx(1)
    assert shares["111"][0] < shares["111"][-1]  # oxygen makes its plane cheaper


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"span": [0.0, -1.0]}, "lowest and the highest"),
        ({"pressures": [0.0]}, "above 0 bar"),
        ({"gas": "H2O"}, "of one element"),
        ({"gas": "O7"}, "no molecule that ASE knows"),
        ({"bulk": "cuo"}, "cannot all be in equilibrium"),
        ({"slabs": ["mixed"]}, "chemical potential of Ni is open"),
        ({"slabs": ["wide"], "clean": "clean"}, "not a whole number of cells"),
    ],
)
def test_bad_input(made, settings, sentence):
    wide = slab("Cu4", "wide")
    wide.cell[1, 1] = 4.0
    made |= {"mixed": [slab("NiCu4", "mixed")], "wide": [wide], "cuo": [*made["cu"], Atoms("CuO", cell=[3] * 3, pbc=1)]}
    made["cuo"][1].positions[1] += 1.5
    made["cuo"].append(made["cu"][0])
    arguments = {"slabs": ["clean"], "bulk": "cu", "gas": "O2"} | settings
    with pytest.raises(ValueError, match=sentence):
        SurfaceThermodynamics(**arguments)(evaluate, made)
