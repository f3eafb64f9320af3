"""SOAP against QUIP and DScribe, and the fused kernel against its definition."""

import gzip
import json

import numpy as np
import pytest
import torch
from ase import Atoms

from adlayer import Structures, kernels
from adlayer.descriptors.soap import SOAP
from adlayer.graph import Graph
from adlayer.nn.density_projection import scaled_bessel

ELEMENTS = ["H", "C", "O"]


def features(soap, atoms):
    return soap(Graph.of(Structures.from_ase(atoms), soap.cutoff)).numpy()


@pytest.fixture(scope="module")
def made():
    from pathlib import Path

    table = json.loads((Path(__file__).parents[1] / "reference/soap.json").read_text())
    return table, Atoms(table["symbols"], table["positions"])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("plain", {}),
        ("not_normalized", {"normalize": False}),
        ("central_weight", {"central_weight": 0.3}),
        ("diagonal", {"compression": "diagonal"}),
        ("offset", {"offset": 0.4}),
        ("decay", {"decay": [3, 1.5, 0.8]}),
        ("power_decay", {"decay": [2, 1.5, 0.0]}),
    ],
)
def test_quip(made, name, arguments):
    table, atoms = made
    soap = SOAP(ELEMENTS, cutoff=3.5, n_max=2, l_max=2, sigma=0.4, transition=0.7, **arguments)
    expected = np.array(table["quip"][name]["features"])
    expected = expected if name == "offset" else expected[:, :-1]  # QUIP always has that column
    np.testing.assert_allclose(features(soap, atoms), expected, rtol=0, atol=2e-12)


def test_quip_on_surfaces_and_molecules(shared):
    table = json.loads(gzip.decompress((shared / "oracles/soap/quip_descriptors.json.gz").read_bytes()))
    cases = [
        ("Si_slab_36", "soap", ["Si"], "Si", {"cutoff": 5.0, "transition": 1.0, "l_max": 6, "n_max": 8, "sigma": 0.5}),
        (
            "Cu13_rattled",
            "soap",
            ["Cu"],
            "Cu",
            {"cutoff": 4.5, "transition": 0.5, "l_max": 4, "n_max": 6, "sigma": 0.4},
        ),
        ("ethanol", "soap_C", ELEMENTS, "C", {"cutoff": 4.0, "transition": 0.5, "l_max": 4, "n_max": 4, "sigma": 0.3}),
    ]
    for name, key, elements, center, arguments in cases:
        case = table[name]
        atoms = Atoms(case["symbols"], case["positions"], cell=case["cell"], pbc=case["pbc"])
        p = features(SOAP(elements, **{"cutoff": 4.5, **arguments}), atoms)[atoms.symbols == center]
        expected = np.array(case["descriptors"][key]["data"])[:, :-1]
        np.testing.assert_allclose(p, expected, rtol=0, atol=2e-12, err_msg=name)


@pytest.mark.parametrize("basis", ["gto", "polynomial"])
@pytest.mark.parametrize(("mode", "compression"), [("off", "none"), *((x, x) for x in ("mu2", "mu1nu1", "crossover"))])
def test_dscribe(made, basis, mode, compression):
    """Its features have l outside n and no sqrt(2), are pi sqrt(8) as large, and see a little beyond the cutoff."""
    table, atoms = made
    reach, n = 3.5, 2
    cutoff = reach + 0.6 * np.sqrt(-2 * np.log(1e-3))
    soap = SOAP(
        ELEMENTS,
        cutoff,
        n_max=n,
        l_max=2,
        sigma=0.6,
        transition=0.0,
        basis=basis,
        normalize=False,
        compression=compression,
        reach=reach,
    )
    pairs, factor = soap.spectrum.products
    p = np.pi * np.sqrt(8) * features(soap, atoms).reshape(len(atoms), -1, 3) / factor[:, None]
    place = {frozenset(ab): k for k, ab in enumerate(pairs.tolist())}
    Q = 1 if mode == "mu2" else 3
    blocks = [(z, y) for z in range(Q) for y in range(z, Q) if mode != "crossover" or y == z]
    if mode == "mu1nu1":
        blocks = [(z, 3) for z in range(3)]
    columns = []
    for z, y in blocks:
        products = [(a, b) for a in range(n) for b in range(a if z == y else 0, n)]
        columns += [p[:, place[frozenset((z * n + a, y * n + b))], l] for l in range(3) for a, b in products]
    expected = np.array(table["dscribe"][f"{basis} {mode}"])
    np.testing.assert_allclose(np.stack(columns, 1), expected, rtol=0, atol=1e-10 * expected.max() + 1e-8)


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_max": 4, "l_max": 3, "transition": 1.0, "decay": [2, 2.0, 0.5]},
        {"basis": "gto", "n_max": 3, "l_max": 2, "compression": "mu1nu1", "sigma": 0.3},
        {"basis": "polynomial", "n_max": 2, "l_max": 1, "channels": {"Si": [1.0, 0.3], "H": [-0.5, 0.0]}},
    ],
)
def test_fused_is_plain(arguments):
    """Values, VJP, JVP, the second and a third derivative."""
    rng = np.random.default_rng(0)
    atoms = Atoms("Si3H2", positions=rng.uniform(0, 5, (5, 3)), cell=np.eye(3) * 5.3, pbc=[1, 1, 0])
    lone = Atoms("H", positions=[[0, 0, 0]])
    soap = SOAP(["Si", "H"], 4.0, normalize=False, **arguments)
    graph = Graph.of(Structures.from_ase([atoms, lone]), 4.3)
    generator = torch.Generator().manual_seed(0)
    g = torch.randn(graph.n_atoms, soap.n_features, generator=generator, dtype=torch.float64).requires_grad_()
    t = torch.randn(graph.n_edges, 3, generator=generator, dtype=torch.float64)

    def derivatives():
        v = graph.vectors.clone().requires_grad_()
        p = soap(graph.with_vectors(v))
        (vjp,) = torch.autograd.grad(p, v, g, create_graph=True)
        jvp, bend = torch.autograd.grad(vjp, [g, v], t, create_graph=True)
        (third,) = torch.autograd.grad(jvp.square().sum() + bend.square().sum(), v)
        return p, vjp, jvp, bend, third

    fused = derivatives()
    with kernels.plain():
        plain = derivatives()
    for name, a, b, tolerance in zip(("p", "VJP", "JVP", "bend", "third"), fused, plain, (1e-13, *[3e-12] * 4)):
        atol = tolerance * float(b.detach().abs().max())
        torch.testing.assert_close(a, b, rtol=0, atol=atol, msg=lambda m, n=name: f"{n}: {m}")


def test_bessel_at_all_arguments():
    """``sum_l (2l + 1) e^-x i_l(x) = 1``, on both sides of where the method changes."""
    x = torch.tensor([0.0, 1e-5, 0.3, 29.999999, 30.000001], dtype=torch.float64)
    v = scaled_bessel(60, x[:4])
    torch.testing.assert_close(
        (v * (2 * torch.arange(61) + 1)).sum(-1), torch.ones(4, dtype=x.dtype), rtol=1e-14, atol=0
    )
    below, above = scaled_bessel(8, x[3:])
    torch.testing.assert_close(below, above, rtol=3e-6, atol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"basis": "gaussian"}, "did you mean 'gaussians'"),
        ({"compression": "mu1nu"}, "did you mean 'mu1nu1'"),
        ({"sigma": 0.0}, "must be positive"),
        ({"n_max": 0}, "n_max must be at least 1"),
        ({"channels": {"Si": [1.0]}}, "equally many weights for each of Si, H"),
        ({"decay": [1.0]}, "decay is three numbers"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SOAP(["Si", "H"], **arguments)
