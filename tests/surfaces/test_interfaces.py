"""Interfaces: cells that match, strain, shifts; particles on a support."""

import numpy as np
import pytest
from ase.build import bulk

from adlayer.surfaces import Interface, Octahedron, Sheet, Slab, Supported, Winterbottom, match_lattices, slab
from adlayer.surfaces.contacts import coordination, pairs
from adlayer.surfaces.supported import facets


def surface(element, miller, layers=3):
    return slab(bulk(element, cubic=True), miller, layers=layers)


def nearest(atoms):
    return np.linalg.norm(pairs(atoms, 5.0)[2], axis=1).min()


@pytest.mark.parametrize(
    "substrate, film, cells, misfit, turn",
    [
        (surface("Pt", [1, 1, 1]), Sheet("C")({}, None)[0], (3, 4), 0.024, 30.0),  # graphene 2x2 on √3, R30
        (surface("Si", [1, 1, 1]), surface("Ag", [1, 1, 1]), (4, 7), 0.0036, 19.1),
        (slab(bulk("MgO", "rocksalt", a=4.21, cubic=True), [1, 0, 0]), surface("Fe", [1, 0, 0]), (1, 1), 0.037, 0.0),
        (surface("Cu", [1, 1, 1]), surface("Cu", [1, 1, 1]), (1, 1), 0.0, 0.0),
    ],
)
def test_known_matches(substrate, film, cells, misfit, turn):
    match = match_lattices(substrate, film, area=60.0)[0]
    assert (round(np.linalg.det(match.substrate)), round(np.linalg.det(match.film))) == cells
    assert match.misfit == pytest.approx(misfit, abs=1e-3)
    assert abs(match.turn) == pytest.approx(turn, abs=0.1)
    A, B = (np.asarray(x.cell)[:2, :2] for x in (substrate, film))
    assert np.allclose(match.film @ B @ match.deformation, match.substrate @ A)


def test_matches_improve_with_area():
    """Graphene on Pt(111): √3 R30, then √7 R19, both of them known, then larger ones; nothing is missed by lengths."""
    found = match_lattices(surface("Pt", [1, 1, 1]), Sheet("C")({}, None)[0], area=60.0)
    assert [round(np.linalg.det(m.substrate)) for m in found] == [3, 7]
    assert np.all(np.diff([m.misfit for m in found]) < 0)
    rectangle, turned = np.diag([3.0, 7.0]), np.array([[0.0, 3.0], [-7.0, 0.0]])
    (match,) = match_lattices(rectangle, turned, area=30.0)
    assert match.misfit == pytest.approx(0.0, abs=1e-9)
    assert abs(match.turn) == pytest.approx(90.0)


def test_no_better_match_is_missed(rng):
    """All superlattices by brute force: Hermite forms of the one, every matrix of small whole numbers of the other."""
    grid = np.stack(np.meshgrid(*4 * [np.arange(-4, 5)], indexing="ij"), -1).reshape(-1, 2, 2)
    size = np.linalg.det(grid).round()
    for _ in range(3):
        A, B = rng.uniform(2.5, 4.0, 2), rng.uniform(2.5, 4.0, 2)
        A, B = (np.array([[a, 0], [0.3 * a, b]]) for a, b in (A, B))
        found = match_lattices(A, B, misfit=0.2, area=4.1 * np.linalg.det(A))
        for n in range(1, 5):
            S = grid[size == n] @ A
            best = np.inf
            for m in range(1, 7):
                for T in [
                    np.array([[a, b], [0, m // a]]) for a in range(1, m + 1) if m % a == 0 for b in range(m // a)
                ]:
                    stretch = np.linalg.svd(np.linalg.inv(T @ B) @ S, compute_uv=False) - 1
                    best = min(best, np.abs(stretch).max(-1).min())
            ours = [m.misfit for m in found if round(np.linalg.det(m.substrate)) <= n]
            assert min(ours, default=0.2) <= best + 1e-9


def test_interfaces_strain_what_they_are_told_to():
    made = {"pt": Slab("Pt", [1, 1, 1], layers=4, frozen=2)({}, None), "c": Sheet("C")({}, None)}
    for strained, bond, metal in (("film", 1.386, 2.772), ("substrate", 1.42, 2.840), ("both", 1.403, 2.806)):
        (atoms,) = Interface("pt", "c", strained=strained, gap=3.3)(made, None)
        assert atoms.get_chemical_formula() == "C8Pt12"
        assert atoms.pbc.tolist() == [True, True, False]
        part = atoms.arrays["part"]
        assert nearest(atoms[part == 1]) == pytest.approx(bond, abs=1e-3)
        if strained != "film":
            assert atoms.cell[0, 0] == pytest.approx(metal * 3**0.5, abs=1e-2)
        else:
            assert nearest(atoms[part == 0]) == pytest.approx(metal, abs=1e-3)
        z = atoms.positions[:, 2]
        assert z[part == 1].min() - z[part == 0].max() == pytest.approx(3.3)
        assert set(atoms.get_tags()[atoms.constraints[0].get_indices()]) == {4, 5}
        assert np.all(np.diff([z[atoms.get_tags() == t].mean() for t in (5, 4, 3, 2, 1)]) > 1.0)
        assert atoms.info["misfit"] == pytest.approx(0.024, abs=1e-4)


def test_shifts_scan_the_cell_of_the_substrate():
    """Copper on copper: of nine shifts one continues the stacking, with twelve neighbors everywhere inside."""
    made = {"cu": Slab("Cu", [1, 1, 1], layers=3)({}, None)}
    frames = Interface("cu", "cu", shifts=[3, 3], gap=3.61 / 3**0.5)(made, None)
    assert len(frames) == 9
    neighbors = [sorted(coordination(f, 1.1)) for f in frames]
    assert neighbors.count([9, 9, 12, 12, 12, 12]) == 2  # the two hollows
    assert len({tuple(f.info["shift"]) for f in frames}) == 9
    (stack,) = Interface("cu", "cu", periodic=True)(made, None)
    assert stack.pbc.all()
    assert stack.cell[2, 2] == pytest.approx(4 * 3.61 / 3**0.5 + 2 * 2.64, abs=0.01)


def test_no_match_is_one_sentence():
    with pytest.raises(ValueError, match=r"no common cell up to 60 Å² has a misfit of 0[.]1% or less; the nearest"):
        match_lattices(surface("Cu", [1, 0, 0]), surface("Si", [1, 1, 1]), misfit=0.001, area=60)
    with pytest.raises(ValueError, match="more than area"):
        match_lattices(surface("Cu", [1, 0, 0]), surface("Si", [1, 1, 1]), area=10)
    with pytest.raises(ValueError, match="periodic in the plane"):
        Interface("x", "x")({"x": Octahedron("Cu", 3)({}, None)}, None)


def test_facets_of_a_truncated_octahedron():
    found = facets(Octahedron("Pt", 7, 2)({}, None)[0])
    assert sorted(len(f.atoms) for f in found) == 6 * [9] + 8 * [19]
    assert np.allclose(np.abs(found[0].normal), 3**-0.5)
    assert found[0].area == pytest.approx(6 * 3**0.5 / 4 * (2 * 3.92 / 2**0.5) ** 2, rel=1e-3)


def test_particles_on_a_support():
    made = {"slab": Slab("MgO", [1, 0, 0], layers=3, frozen=1, structure="rocksalt", a=4.21)({}, None)}
    made["octahedron"] = Octahedron("Pt", 7, 2)({}, None)
    made["cap"] = Winterbottom("Pt", {"111": 1.0, "100": 1.1}, [1, 1, 1], 0.8, 150)({}, None)
    for name, low in (("octahedron", 19), ("cap", 36)):
        (atoms,) = Supported(name, "slab", gap=2.2, apart=8.0)(made, None)
        particle, support = (atoms[atoms.arrays["part"] == k] for k in (1, 0))
        z = particle.positions[:, 2]
        assert np.sum(z < z.min() + 0.3) == low
        assert z.min() - support.positions[:, 2].max() == pytest.approx(2.2)
        assert atoms.pbc.tolist() == [True, True, False]
        assert len(atoms.constraints[0].get_indices()) == len(support) / 3
        shifted = particle.get_distances(0, range(len(particle)), mic=False).max()
        assert shifted < atoms.cell.lengths()[:2].min()
        i, j, D = pairs(particle, 8.0)
        assert np.allclose(D, particle.positions[j] - particle.positions[i])  # no image within 8 Å
    (standing,) = Supported("octahedron", "slab", facet=[0, 0, 1])(made, None)
    z = standing.positions[standing.arrays["part"] == 1, 2]
    assert np.sum(z < z.min() + 0.3) == 9
    with pytest.raises(ValueError, match="must be a particle"):
        Supported("slab", "slab")(made, None)
