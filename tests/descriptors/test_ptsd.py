"""Power-type descriptors against their equations written once more as loops: there is no other code to compare with."""

from itertools import combinations_with_replacement, permutations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from scipy.special import sph_harm_y

from adlayer import Graph, Structures, evaluate
from adlayer.descriptors.ptsd import PTSD
from adlayer.potentials.hdnnp import HDNNP

ROWS = {
    "S1": [[2], [-1]],
    "S2": [[1, 1], [3, 2]],
    "S3": [[1, 2, 2, -1], [1, 1, 4, 1]],
    "S4": [[1, 0, 2, 1, 1]],
    "S5": [[2, 1, 0, 1]],
    "S6": [[1, 0, 2, 2, 1], [1, 1, 1, 1, -1]],
}
NONE = {name: [] for name in ROWS}


def cluster() -> Atoms:
    rng = np.random.default_rng(2)
    corners = np.array([[x, y, z] for x in (0, 2) for y in (0, 2) for z in (0, 2)][:6], dtype=float)
    return Atoms("SiHSiHHSi", positions=corners + rng.normal(0, 0.2, (6, 3)))


def loops(atoms: Atoms, cutoff: float, dihedral_cutoff: float, elements: list[str]) -> np.ndarray:
    v, r = atoms.get_all_distances(vector=True), atoms.get_all_distances()
    n_atoms = len(atoms)

    def R(n, r, r_c=cutoff):
        return r**n * 0.5 * np.tanh(1 - r / r_c) ** 3 if r < r_c else 0.0

    def Y(L, x):
        theta, phi = np.arccos(x[2] / np.linalg.norm(x)), np.arctan2(x[1], x[0])
        return np.array([sph_harm_y(L, M, theta, phi) for M in range(-L, L + 1)])

    def sets(i, size):
        """For each set of elements, all ordered choices of neighbors that have them."""
        for chosen in combinations_with_replacement(elements, size):
            orders = permutations([j for j in range(n_atoms) if j != i], size)
            yield [o for o in orders if sorted(atoms.symbols[a] for a in o) == sorted(chosen)]

    def cos(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    features = []
    for i in range(n_atoms):
        row = []
        for (n,) in ROWS["S1"]:
            row += [sum(R(n, r[i, j]) for (j,) in s) for s in sets(i, 1)]
        for L, n in ROWS["S2"]:
            row += [np.linalg.norm(sum((R(n, r[i, j]) * Y(L, v[i, j]) for (j,) in s), np.zeros(1))) for s in sets(i, 1)]
        for n, m, zeta, lam in ROWS["S3"]:
            row += [
                sum(
                    2 ** (1 - zeta) * (1 + lam * cos(v[i, j], v[i, k])) ** zeta * R(n, r[i, j]) * R(m, r[i, k])
                    for j, k in s
                )
                for s in sets(i, 2)
            ]
        for n, m, p, zeta, lam in ROWS["S4"]:
            row += [
                sum(
                    2 ** (1 - zeta)
                    * (1 + lam * cos(v[i, j], v[i, k])) ** zeta
                    * (R(n, r[i, j]) * R(m, r[i, k]) * R(p, r[j, k]))
                    for j, k in s
                )
                for s in sets(i, 2)
            ]
        for L, n, m, p in ROWS["S5"]:
            row += [
                np.linalg.norm(
                    sum(
                        (R(n, r[i, j]) * R(m, r[i, k]) * R(p, r[j, k]) * (Y(L, v[i, j]) + Y(L, v[i, k])) for j, k in s),
                        np.zeros(1),
                    )
                )
                for s in sets(i, 2)
            ]
        for n, m, p, zeta, lam in ROWS["S6"]:
            for s in sets(i, 3):
                total = 0.0
                for j, k, l in s:
                    delta = cos(np.cross(v[i, j], v[i, k]), np.cross(v[i, j], v[i, l]))
                    radial = [R(q, r[i, a], dihedral_cutoff) for q, a in ((n, j), (m, k), (p, l))]
                    total += 2 ** (1 - zeta) * (1 + lam * delta) ** zeta * np.prod(radial)
                row.append(total)
        features.append(row)
    return np.array(features)


def test_features_are_the_published_sums():
    atoms = cluster()
    ptsd = PTSD(["Si", "H"], cutoff=5.0, dihedral_cutoff=4.0, **ROWS)
    graph = Graph.of(Structures.from_ase(atoms), 5.0)
    G = ptsd(graph).numpy()
    assert G.shape == (6, ptsd.n_features) == (6, 2 * 2 + 2 * 2 + 2 * 3 + 3 + 3 + 2 * 4)
    assert (np.abs(G).max(0) > 1e-8).all()
    np.testing.assert_allclose(G, loops(atoms, 5.0, 4.0, ["Si", "H"]), rtol=1e-10, atol=1e-15)


def test_the_dihedral_is_between_two_planes_through_a_bond():
    """Three equal bonds: an axis, and two at 45° to it that turn about it by ± an angle."""
    ptsd = PTSD(["Si"], cutoff=5.0, dihedral_cutoff=5.0, **NONE | {"S6": [[0, 0, 0, 1, 1]]})
    r, f = 2.0, 0.5 * np.tanh(1 - 2.0 / 5.0) ** 3

    def at(angle: float) -> float:
        k, l = [np.cos(angle), np.sin(angle), 1.0], [np.cos(angle), -np.sin(angle), 1.0]
        u = np.array([[0.0, 0.0, 1.0], k / np.linalg.norm(k), l / np.linalg.norm(l)])
        atoms = Atoms("Si4", positions=np.concatenate([np.zeros((1, 3)), r * u]))
        cos = [
            np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
            for j, k, l in ((0, 1, 2), (1, 0, 2), (2, 0, 1))
            for a, b in [(np.cross(u[j], u[k]), np.cross(u[j], u[l]))]
        ]
        assert cos[0] == pytest.approx(np.cos(2 * angle))
        assert float(ptsd(Graph.of(Structures.from_ase(atoms), 5.0))[0, 0]) == pytest.approx(
            2 * f**3 * sum(1 + c for c in cos)
        )
        return cos[0]

    assert at(0.4) > 0 > at(1.1)


def test_crystals_have_finite_features_and_no_forces():
    """There sums of S2 vanish by symmetry and atoms lie on lines, where the published functions have no derivative."""
    structures = Structures.from_ase(bulk("Cu", cubic=True))
    hdnnp = HDNNP(["Cu"], descriptor={"PTSD": {"elements": ["Cu"], "cutoff": 4.0, "dihedral_cutoff": 3.0}}, hidden=[4])
    rattled = bulk("Cu", cubic=True)
    rattled.rattle(0.1, seed=0)
    hdnnp.prepare([Graph.of(Structures.from_ase([bulk("Cu", cubic=True), rattled]), 4.0)])
    graph = Graph.of(structures, 4.0)
    p = evaluate(hdnnp, graph, create_graph=True)
    assert float(p.forces.detach().abs().max()) < 1e-8
    p.forces.square().sum().backward()
    assert all(bool(torch.isfinite(x.grad).all()) for x in hdnnp.parameters() if x.grad is not None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"S2": [[1]]}, r"rows of S2 are \[L, n\]"),
        ({"S5": [[1.5, 1, 1, 1]]}, "L of S5"),
        ({"S3": [[1, 1, 0.5, 1]]}, "zeta of S3"),
        ({"dihedral_cutoff": 7.0}, "dihedral_cutoff"),
    ],
)
def test_bad_rows_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PTSD(["Si"], **arguments)
