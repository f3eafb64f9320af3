"""SNAP against LAMMPS and FitSNAP; that all options agree with LAMMPS is in test_lammps."""

import json

import lammps_runs
import numpy as np
import pytest
import torch
from ase.io import read
from test_lammps import require_equal

from adlayer import Graph, Structures, evaluate
from adlayer.checks import check_potential
from adlayer.descriptors.bispectrum import Bispectrum
from adlayer.fitting.regression import reduced, regress, triangle_by_qr
from adlayer.formats import snap
from adlayer.potentials.hdnnp import HDNNP
from adlayer.potentials.snap import SNAP
from adlayer.potentials.zbl import ZBL

FILES = {  # lattice, constant
    "Ta06A.snap": ("fcc", 4.2),
    "WBe_Wood_PRB2019.snap": ("fcc", 4.0),
    "InP_JCPA2020.snap": ("zincblende", 5.9),
    "Si_Zuo_JPCA2020.snap": ("diamond", 5.4),
    "Li_Zuo_JPCA2020.quadratic.snap": ("fcc", 4.4),
    "Cu_Zuo_JPCA2020.quadratic.snap": ("fcc", 3.6),
    "Cu.snapparam": ("fcc", 3.6),
    "Ni_Mo.snapcoeff": ("fcc", 3.7),
    "Ta-W-Nb-Mo.snapparam": ("fcc", 4.1),
}


@pytest.fixture
def lammps():
    try:
        return lammps_runs.load()
    except (ImportError, OSError):
        pytest.skip("LAMMPS is not installed")


@pytest.mark.parametrize("file", FILES)
def test_published_files(file, lammps, request, tmp_path, monkeypatch):
    """Energy, forces and virial to 1e-10, read from the published files, written again, and given to LAMMPS."""
    own = file.endswith(".snap")
    folder = lammps_runs.potential_files() if own else request.getfixturevalue("shared") / "oracles/snap/potentials"
    potential = snap.read(folder / file)
    elements = list(next(p for p in getattr(potential, "parts", [potential]) if isinstance(p, SNAP)).elements)
    snap.write(tmp_path / f"x{'.snap' if own else '.snapcoeff'}", potential)
    monkeypatch.chdir(tmp_path)
    pair = ["pair_style snap", f"pair_coeff * * x.snapcoeff x.snapparam {' '.join(elements)}"]
    commands = ["include x.snap"] if own and (tmp_path / "x.snap").exists() else pair
    structure, a = FILES[file]
    for kind in ("bulk", "slab"):
        atoms = lammps_runs.system(kind, structure, elements, a, seed=5)
        require_equal(potential, atoms, lammps_runs.run(atoms, commands, elements))


SNA = [
    ({}, "bzeroflag 1"),
    ({"bzero": False, "rmin0": 0.4, "twojmax": 5}, "rmin0 0.4 bzeroflag 0"),
    ({"switch": False}, "switchflag 0"),
    ({"chem": True, "bnorm": True, "wselfall": True}, "chem 2 0 1 bnormflag 1 wselfallflag 1"),
    ({"inner": {"Ni": [1.9, 0.5], "Mo": [2.4, 0.7]}}, "switchinnerflag 1 sinner 1.9 2.4 dinner 0.5 0.7"),
]


@pytest.mark.parametrize(("options", "keywords"), SNA)
def test_components(options, keywords, lammps):
    """``compute sna/atom``."""
    R, w = {"Ni": 0.575, "Mo": 0.5}, {"Ni": 0.5, "Mo": 1.0}
    descriptor = Bispectrum(["Ni", "Mo"], **{"cutoff": 4.3, "twojmax": 4, "radii": R, "weights": w, **options})
    atoms = lammps_runs.system("slab", "fcc", ["Ni", "Mo"], 3.9, 3, 0.15)
    per_element = " ".join(str(x) for values in (R, w) for x in values.values())
    compute = f"compute b all sna/atom {4.3 / (2 * 0.575)!r} 0.99363 {descriptor.twojmax} {per_element} {keywords}"

    def take(lmp):
        B = np.array(lmp.numpy.extract_compute("b", 1, 2)[: len(atoms)])
        return B[np.argsort(lmp.numpy.extract_atom("id")[: len(atoms)])]

    said = lammps_runs.run(atoms, ["pair_style zero 6.0", "pair_coeff * *", compute], ["Ni", "Mo"], take)
    B = descriptor(Graph.of(Structures.from_ase(atoms), 4.3))
    torch.testing.assert_close(B, torch.tensor(said), rtol=1e-12, atol=1e-11)


def test_fit_of_tantalum(shared):
    """FitSNAP's design matrix (J. Comput. Phys. 285, 316 (2015)) to 1e-10 and what it fitted to 1e-8."""
    folder = shared / "data/fitsnap-ta"
    A, b, w = (
        np.load(folder / "Descriptors.npz")["A"],
        np.load(folder / "Truth-Ref.npy"),
        np.load(folder / "Weights.npy"),
    )
    places = json.loads((folder / "row_map.json").read_text())
    potential = snap.read(folder / "Ta_pot.snapparam")
    frames = read(folder / "ta_jcp2014.extxyz.gz", ":")
    s = Structures.from_ase([frames[k] for k in places["frame_of_row"]])
    design = potential.design(Graph.of(s, potential.cutoff))
    bar = lammps_runs.NKTV2P / s.measure[:, None, None]
    W = 0.5 * (design.virial + design.virial.transpose(1, 2))
    stress = -bar * W[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    forces = dict(zip(places["force_start"], design.forces.split(s.counts.tolist())))
    rows = [design.energy / s.counts[:, None], *(forces[k] for k in sorted(forces)), stress]
    ours = torch.cat([x.reshape(-1, 31) for x in rows])
    theirs = torch.tensor(A)
    torch.testing.assert_close(ours[:13035], theirs[:13035], rtol=0, atol=1e-10)
    torch.testing.assert_close(ours[13035:], theirs[13035:], rtol=1e-10, atol=1e-10 * float(theirs.abs().max()))
    rows = torch.cat([ours, torch.tensor(b)[:, None]], 1) * torch.tensor(w)[:, None]
    fitted = regress(reduced(triangle_by_qr([rows]), len(rows)), torch.zeros(31), 0.0).mean
    torch.testing.assert_close(fitted, potential.coefficients, rtol=0, atol=1e-8)


def test_network_of_components():
    potential = HDNNP(["Si", "H"], descriptor=Bispectrum(["Si", "H"], 4.0, 3), hidden=[5])
    check_potential(potential, ["rotation", "forces_are_derivatives", "second_derivatives", "saving"])


def test_components_of_gap_are_those_with_equal_first_degrees():
    """``B_jjl`` for all whole ``l``, also below ``j``, by the sum that defines them."""
    atoms = lammps_runs.system("bulk", "fcc", ["Cu"], 3.6, 1)
    graph = Graph.of(Structures.from_ase(atoms), 4.0)
    gap = Bispectrum(["Cu"], 4.0, 4, bzero=False, components="gap")
    known = Bispectrum(["Cu"], 4.0, 4, bzero=False)
    assert gap.triples == [(0, 0, 0), (1, 1, 0), (1, 1, 2), *((j, j, l) for j in (2, 3, 4) for l in (0, 2, 4))]
    B, all_of_them = gap(graph), dict(zip(known.triples, known(graph).T))
    torch.testing.assert_close(B[:, gap.triples.index((2, 2, 4))], all_of_them[2, 2, 4])
    torch.testing.assert_close(B[:, gap.triples.index((4, 4, 2))], all_of_them[4, 2, 4] * 3 / 5)


def test_trains_by_gradient_descent():
    """Forces are differentiable by the coefficients of the quadratic form."""
    teacher, pupil = (SNAP(["Cu"], 4.0, 2, quadratic=True) for _ in range(2))
    teacher.c.data *= 3
    s = Structures.from_ase(lammps_runs.system("slab", "fcc", ["Cu"], 3.6, 2))
    target, losses = evaluate(teacher, s).forces, []
    optimizer = torch.optim.Adam(pupil.parameters(), lr=1e-3)
    for _ in range(40):
        loss = (evaluate(pupil, s, create_graph=True).forces - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]


def test_bad_arguments():
    for options, message in (
        ({"twojmax": 2.5}, "twojmax"),
        ({"cutoff": -1.0}, "cutoff must be positive"),
        ({"quadratic": True, "twojmax": 20}, "take a smaller twojmax"),
        ({"bispectrum": {"rfac": 0.9}}, "did you mean 'rfac0'"),
        ({"bispectrum": {"rfac0": 1.2}}, "up to 1"),
        ({"bispectrum": {"rmin0": 3.0}}, "below half the shortest cutoff"),
        ({"bispectrum": {"weights": {"Ta": 1.0, "W": 0.5}}}, "names W, which is not among the elements"),
        ({"bispectrum": {"radii": {}}}, "Ta is missing"),
        ({"bispectrum": {"components": "gpa"}}, "did you mean 'gap'"),
        ({"bispectrum": {"inner": {"Ta": [1.0, 0.0]}}}, "middle, half width"),
    ):
        with pytest.raises(ValueError, match=message):
            SNAP(["Ta"], **options)


def test_files(tmp_path):
    p = SNAP(
        ["W", "Be"], 4.8, 2, bispectrum={"radii": {"W": 0.5, "Be": 0.4}, "weights": {"W": 1.0, "Be": 0.9}, "rmin0": 0.2}
    )
    snap.write(tmp_path / "a.snap", ZBL(2.0, 3.0) + p)
    for suffix in ("snapcoeff", "snapparam"):
        again = snap.read(tmp_path / f"a.{suffix}")
        assert torch.equal(again.c, p.c)
        assert (again.descriptor.sphere, again.cutoff) == (p.descriptor.sphere, p.cutoff)
    assert [type(x) for x in snap.read(tmp_path / "a.snap").parts] == [ZBL, SNAP]
    (tmp_path / "a.snapparam").rename(tmp_path / "b.snapparam")
    assert torch.equal(snap.read(tmp_path / "a.snapcoeff").c, p.c)  # the only one there is
    text = (tmp_path / "b.snapparam").read_text()
    for before, after, message in (
        ("twojmax", "twojmx", "did you mean 'twojmax'"),
        ("twojmax 2", "twojmax 4", "need 15"),
        ("twojmax 2", "", "does not give twojmax"),
        ("twojmax 2", "twojmax 2\ndiagonalstyle 1", "no longer in use"),
    ):
        (tmp_path / "b.snapparam").write_text(text.replace(before, after))
        with pytest.raises(ValueError, match=message):
            snap.read(tmp_path / "a.snapcoeff")
    (tmp_path / "b.snapparam").unlink()
    with pytest.raises(FileNotFoundError, match=r"needs a\.snapparam beside it; there is none"):
        snap.read(tmp_path / "a.snapcoeff")
    (tmp_path / "c.snap").write_text("pair_style hybrid/overlay snap table linear 1000\n")
    with pytest.raises(ValueError, match="only snap, alone or with zbl"):
        snap.read(tmp_path / "c.snap")
    with pytest.raises(TypeError, match="not a HDNNP"):
        snap.write(tmp_path / "d.snapcoeff", HDNNP(**HDNNP.small))
    with pytest.raises(ValueError, match="not those of GAP"):
        snap.write(tmp_path / "d.snapcoeff", SNAP(["W"], bispectrum={"components": "gap"}))
