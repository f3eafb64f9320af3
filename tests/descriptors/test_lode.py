"""LODE against featomic, its products against loops, and a Gaussian process of SOAP and LODE."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from adlayer import Structures
from adlayer.data import Dataset
from adlayer.data.features import features
from adlayer.descriptors.hybrid import Hybrid
from adlayer.descriptors.lode import LODE
from adlayer.descriptors.soap import SOAP
from adlayer.fitting.sparse_gp import SparseGP
from adlayer.graph import Graph
from adlayer.potential import Prediction, evaluate, make_potential
from adlayer.potentials.environment_gp import EnvironmentGP

MADE = json.loads((Path(__file__).parents[1] / "reference/lode.json").read_text())


def graph_of(atoms, cutoff=0.0):
    return Graph.of(Structures.from_ase(atoms), cutoff)


@pytest.mark.parametrize("case", MADE["cases"], ids=lambda c: f"{c['exponent']} {c['central_weight']}")
def test_featomic(case):
    """Coefficients, and derivatives of weighted sums of those of each atom by all positions."""
    lode = LODE(
        ["H", "C", "O"],
        case["exponent"],
        **MADE["settings"],
        central_weight=case["central_weight"],
        k_cutoff=1.2 * np.pi / MADE["settings"]["smearing"],
    )
    graph = graph_of(Atoms(MADE["symbols"], MADE["positions"], cell=MADE["cell"], pbc=True))
    positions = graph.structures.positions.clone().requires_grad_()
    v = lode.coefficients(graph.of_structures(graph.structures.with_positions(positions)))
    np.testing.assert_allclose(v.detach(), case["coefficients"], rtol=0, atol=1e-9)
    sums = torch.einsum("aemn,emn->a", v, torch.tensor(MADE["weights"], dtype=v.dtype))
    slopes = torch.stack([torch.autograd.grad(x, positions, retain_graph=True)[0] for x in sums])
    np.testing.assert_allclose(slopes, case["slopes"], rtol=0, atol=1e-8)


@pytest.mark.parametrize("with_density", [True, False])
def test_products(with_density):
    lode = LODE(
        ["Si", "H"], 3, 1.5, 1.5, n_max=2, l_max=1, with_density=with_density, cutoff=4.0, normalize=False
    ).double()
    graph = graph_of(Atoms("SiH2", [[0, 0, 0], [1.4, 0.1, 0], [0.2, 1.5, 0.3]]), 4.0)
    v, z = lode.coefficients(graph).numpy(), torch.tensor([0, 1, 1])
    c = lode.density.coefficients(graph.vectors, graph.i, graph.j, z).numpy() if with_density else v
    labels = [(e, n) for e in range(2) for n in range(2)]
    rows = []
    for x, (e, n) in enumerate(labels):
        for y, (f, m) in enumerate(labels):
            if with_density or y >= x:
                product = c[:, e, :, n] * v[:, f, :, m] * (1 if with_density or x == y else np.sqrt(2))
                rows += [product[:, 0], product[:, 1:].sum(1) / np.sqrt(3)]
    np.testing.assert_allclose(lode(graph), np.stack(rows, 1), rtol=1e-12, atol=1e-14)


def test_charges_far_away_are_seen():
    """As their potential is, ``1 / r``, while a density sees nothing."""
    lode = LODE(["H"], smearing=2.0, radius=1.0, n_max=1, l_max=0, with_density=False, normalize=False)
    alone, *pairs = (
        float(lode.coefficients(graph_of(Atoms(f"H{n}", np.arange(n)[:, None] * [d, 0, 0])))[0, 0, 0, 0])
        for n, d in ((1, 0.0), (2, 15.0), (2, 30.0))
    )
    near, far = (x - alone for x in pairs)
    assert near == pytest.approx(2 * far, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"exponent": 0}, "exponent must be a whole number from 1, got 0"),
        ({"exponent": 1.5}, "exponent must be a whole number"),
        ({"smearing": 0.0}, "smearing, radius and k_cutoff must be positive"),
        ({"basis": "gtos"}, "basis must be one of gto, monomials, bessel; got 'gtos'; did you mean 'gto'"),
        ({"n_max": 25}, "25 radial functions are too alike"),
    ],
)
def test_what_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        LODE(["H"], **arguments)


def test_no_derivatives_by_edges():
    lode = LODE(["H"], n_max=1, l_max=0)
    for descriptor in (lode, Hybrid([lode])):
        with pytest.raises(TypeError, match="derivatives by positions"):
            descriptor.jacobian(graph_of(Atoms("H"), 5.0))
    with pytest.raises(ValueError, match="Linear takes descriptors of neighbors alone, and LODE sees all atoms"):
        make_potential({"Linear": {"descriptor": {"LODE": {}}}}, ["H"])


@pytest.fixture(scope="module")
def two():
    """Structures of two and of three atoms, and a descriptor of both kinds."""
    rng = np.random.default_rng(5)
    frames = [Atoms(f"SiH{n}", rng.uniform(0, 3, (n + 1, 3)), cell=np.eye(3) * 3.6, pbc=[1, 1, 0]) for n in (1, 2)]
    parts = [{"SOAP": SOAP.small}, {"LODE": {**LODE.small, "n_max": 1, "l_max": 1}}]
    return Structures.from_ase(frames), Hybrid(parts)


def test_derivatives_by_all_positions(two):
    s, hybrid = two
    x = features(hybrid, s, derivatives="sparse")
    means = features(hybrid, s, average=True, derivatives="dense")["derivatives"]
    of, by, D = x["derivatives_of"], x["derivatives_by"], x["derivatives"]
    assert len(of) == 2 * 2 + 3 * 3
    h = 1e-4
    for a, c in ((1, 0), (3, 2)):
        step = torch.zeros_like(s.positions)
        step[a, c] = h
        ends = [features(hybrid, s.with_positions(s.positions + d * step))["features"] for d in (1, -1)]
        slope = (ends[0] - ends[1]) / (2 * h)
        here = by == a
        np.testing.assert_allclose(D[here, c], slope[of[here]], atol=1e-7)
        np.testing.assert_allclose(means[a, c], slope[of[here]].mean(0), atol=1e-7)


def test_doubt_about_forces(two):
    """``k(F, F)``, a second difference of the kernel, less what the points explain."""
    s, hybrid = two
    gp = EnvironmentGP(["Si", "H"], descriptor=hybrid, n_sparse=2, zeta=2, delta=0.5)
    graph = Graph.of(s, gp.cutoff)
    left = gp.unexplained(graph, forces=True).forces
    h, (a, c) = 1e-3, (3, 2)
    step = torch.zeros_like(s.positions)
    step[a, c] = h
    p, q = (gp.features(Graph.of(s.with_positions(s.positions + d * step), gp.cutoff)) for d in (1, -1))
    same = (s.system[:, None] == s.system) & (s.numbers[:, None] == s.numbers)
    k = [(((x @ y.T) ** 2) * same)[s.system == s.system[a]].sum() for x, y in ((p, p), (p, q), (q, q))]
    prior = 0.25 * float(k[0] - 2 * k[1] + k[2]) / (2 * h) ** 2
    known = float(gp.design(graph, virial=False).forces[a, c].square().sum())
    assert float(left[a, c]) == pytest.approx(prior - known, rel=1e-4, abs=1e-8)
    assert prior > known > 0


def test_process_of_soap_and_lode_learns_charges():
    """Dimers beyond the cutoff of SOAP: energies and forces of ``q q' / r``, by the sum of two covariances."""
    rng = np.random.default_rng(0)
    distances = np.sort(rng.uniform(6.0, 11.0, 12))
    frames = []
    for d in distances:
        axis = rng.normal(size=3)
        axis *= d / np.linalg.norm(axis)
        frames.append(Atoms("NaCl", [[0, 0, 0], axis]))
    s = Structures.from_ase(frames)
    r = s.positions[1::2]
    length = torch.linalg.vector_norm(r, dim=1)
    forces = torch.zeros(24, 3, dtype=torch.float64)
    forces[1::2] = -14.4 * r / length[:, None] ** 3
    forces[0::2] = -forces[1::2]
    labels = Prediction(-14.4 / length, forces)
    soap = {"elements": ["Na", "Cl"], "cutoff": 4.0, "n_max": 2, "l_max": 1}
    lode = {"elements": ["Na", "Cl"], "smearing": 1.5, "radius": 2.0, "n_max": 2, "l_max": 1, "cutoff": 4.0}
    parts = {"descriptor": {"Hybrid": {"parts": [{"SOAP": soap}, {"LODE": {**lode, "normalize": False}}]}}}
    potential = make_potential({"EnvironmentGP": {**parts, "n_sparse": 8, "zeta": 2, "delta": 30.0}}, ["Na", "Cl"])
    assert not potential.local
    train, test = (Dataset(s[k], labels.select(s, k)) for k in (list(range(0, 12, 2)), list(range(3, 11, 2))))
    fitted = SparseGP(1e-3, 1e-3, None, energies="none")(potential, train).potential
    said = evaluate(fitted, test.structures, stress=False)
    np.testing.assert_allclose(said.energy, test.labels.energy, atol=0.02)
    np.testing.assert_allclose(said.forces, test.labels.forces, atol=0.02)
