"""Liquids at their density without clashes, on slabs, in slits, tubes and pores; sheets and tubes themselves."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from adlayer.config import build
from adlayer.surfaces import (
    Filled,
    Generator,
    Icosahedron,
    Liquid,
    Nanotube,
    Pore,
    Sheet,
    Slab,
    Slit,
    SolidLiquid,
    Solvated,
)
from adlayer.surfaces.contacts import contact_radii, coordination, pairs
from adlayer.surfaces.liquids import occupied
from adlayer.units import G_PER_CM3


def clash(atoms):
    """Least distance of atoms of different molecules, relative to the sum of their van der Waals radii."""
    i, j, D = pairs(atoms, 5.0)
    m, radii = atoms.arrays["molecule"], contact_radii(atoms.numbers)
    other = (m[i] != m[j]) | ((m[i] >= 0) & ~np.isclose(D, atoms.positions[j] - atoms.positions[i]).all(1))
    return (np.linalg.norm(D, axis=1) / (radii[i] + radii[j]))[other].min()


def test_water_at_its_density(rng):
    (water,) = Liquid("H2O", 64)({}, rng)
    assert water.get_chemical_formula() == "H128O64"
    assert water.pbc.all()
    assert water.get_masses().sum() / water.get_volume() / G_PER_CM3 == pytest.approx(1.0, rel=1e-3)
    assert clash(water) >= 0.75
    bonds = np.linalg.norm(pairs(water, 1.2)[2], axis=1)
    assert len(bonds) == 256
    assert np.allclose(bonds, 0.9689, atol=1e-3)  # molecules are whole and rigid
    normals = np.cross(water.positions[1::3] - water.positions[::3], water.positions[2::3] - water.positions[::3])
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    assert np.linalg.norm(normals.mean(0)) < 0.3  # turned at random
    again = Liquid("H2O", 64)({}, np.random.default_rng(7))[0]
    assert np.allclose(again.positions, Liquid("H2O", 64)({}, np.random.default_rng(7))[0].positions)


def test_mixtures(rng):
    (mixed,) = Liquid({"H2O": 3, "CH3OH": 1, "Ar": 0.25}, 34, density=0.9)({}, rng)
    assert mixed.symbols.formula.count() == {"O": 32, "H": 2 * 24 + 4 * 8, "C": 8, "Ar": 2}
    assert clash(mixed) >= 0.75


def test_water_on_copper(rng):
    made = {"slab": Slab("Cu", [1, 1, 1], layers=4, repeat=[4, 4], frozen=2)({}, rng)}
    for periodic in (False, True):
        (wet,) = SolidLiquid("slab", thickness=12.0, periodic=periodic)(made, rng)
        assert wet.pbc.tolist() == [True, True, periodic]
        assert len(wet.constraints[0].get_indices()) == 32
        liquid, copper = wet[wet.arrays["molecule"] >= 0], wet[wet.arrays["molecule"] < 0]
        area = np.linalg.norm(np.cross(*wet.cell[:2]))
        assert liquid.get_masses().sum() / (12 * area) / G_PER_CM3 == pytest.approx(1.0, abs=0.02)
        low = copper.positions[:, 2].max() + contact_radii([29])[0]
        assert liquid.positions[:, 2].min() >= low - 1e-6
        assert liquid.positions[:, 2].max() <= low + 12 + 1e-6
        assert clash(wet) >= 0.75
        assert wet.arrays["molecule"].max() + 1 == len(liquid) / 3


def test_a_slit_has_two_periodic_axes(rng):
    made = {"graphene": Sheet("C", [6, 6])({}, rng)}
    (slit,) = Slit("graphene", 9.0)(made, rng)
    assert slit.pbc.tolist() == [True, True, False]
    carbon = slit.positions[slit.symbols == "C", 2]
    assert np.ptp(carbon) == pytest.approx(9.0)
    water = slit[slit.arrays["molecule"] >= 0]
    area = np.linalg.norm(np.cross(*slit.cell[:2]))
    expected = (9.0 - 2 * 1.77) * area
    assert water.get_masses().sum() / expected / G_PER_CM3 == pytest.approx(1.0, abs=0.03)
    assert clash(slit) >= 0.75
    made["metal"] = Slab("Cu", [1, 0, 0], layers=3, frozen=1)({}, rng)
    (empty,) = Slit("metal", 10.0, of=None)(made, rng)
    z = empty.positions[:, 2]
    assert sorted(z - z.min()) == pytest.approx(sorted(z.max() - z))
    assert empty.constraints[0].get_indices().tolist() == [np.argmin(z), np.argmax(z)]


def test_a_particle_in_water(rng):
    one = Atoms("Au", [[0.05, 0.1, 0.15]])
    assert occupied(one) == pytest.approx(4 / 3 * np.pi * contact_radii([79])[0] ** 3, rel=0.01)
    (wet,) = Solvated("gold", margin=7.0)({"gold": Icosahedron("Au", 1)({}, rng)}, rng)
    assert wet.pbc.all()
    gold, water = (wet[(wet.arrays["molecule"] < 0) == solid] for solid in (True, False))
    free = wet.get_volume() - occupied(gold)
    assert water.get_masses().sum() / free / G_PER_CM3 == pytest.approx(1.0, abs=0.01)
    assert gold.positions.mean(0) == pytest.approx(wet.cell.lengths() / 2)
    assert clash(wet) >= 0.75
    (solute,) = Solvated("CH4", margin=5.0)({}, rng)
    assert solute.symbols.formula.count()["C"] == 1


@pytest.mark.parametrize("n, m, of, atoms", [(6, 6, "C", 24), (10, 0, "BN", 40), (6, 4, "C", 152)])
def test_tubes_are_periodic_along_their_axis_alone(n, m, of, atoms, rng):
    (tube,) = Nanotube(n, m, of)({}, rng)
    assert len(tube) == atoms
    assert tube.pbc.tolist() == [False, False, True]
    assert set(coordination(tube)) == {3}
    if of == "BN":
        i, j, _ = pairs(tube, 1.7)
        assert not np.any(tube.numbers[i] == tube.numbers[j])
    radius = np.linalg.norm(tube.positions[:, :2], axis=1).mean()
    bond = 1.42 if of == "C" else 1.45
    assert radius == pytest.approx(bond * 3**0.5 * (n * n + n * m + m * m) ** 0.5 / (2 * np.pi), rel=0.01)


def test_a_filled_tube(rng):
    made = {"tube": Nanotube(8, 8, length=4)({}, rng)}
    (full,) = Filled("tube")(made, rng)
    water = full[full.arrays["molecule"] >= 0]
    radius = np.linalg.norm(made["tube"][0].positions[:, :2], axis=1).min() - 1.77
    assert np.linalg.norm(water.positions[:, :2], axis=1).max() <= radius + 1e-6
    volume = np.pi * radius**2 * full.cell[2, 2]
    assert len(water) / 3 == round(G_PER_CM3 * volume / 18.015)
    assert full.pbc.tolist() == [False, False, True]
    assert clash(full) >= 0.75


def test_a_pore_and_what_fills_it(rng):
    oxide = bulk("MgO", "rocksalt", a=4.21, cubic=True)
    (solid,) = Pore("oxide", 7.0, repeat=[5, 5, 3])({"oxide": [oxide]}, rng)
    axis = solid.cell[:2].sum(0)[:2] / 2
    assert np.linalg.norm(solid.positions[:, :2] - axis, axis=1).min() >= 7.0
    assert 8 * 75 - len(solid) == pytest.approx(np.pi * 49 * 12.63 / 4.21**3 * 8, rel=0.1)
    (full,) = Filled("pore", density=0.8)({"pore": [solid]}, rng)
    assert full.pbc.all()
    water = full[full.arrays["molecule"] >= 0]
    assert len(water) > 30
    assert np.linalg.norm(water.positions[:, :2] - axis, axis=1).max() <= 7.0 - contact_radii([12])[0] + 1e-6
    assert clash(full) >= 0.75


def test_sheets():
    (bilayer,) = Sheet("C", layers=2)({}, None)
    assert np.ptp(bilayer.positions[:, 2]) == pytest.approx(3.35)
    lower, upper = (bilayer[bilayer.get_tags() == t].positions[:, :2] for t in (2, 1))
    cell = bilayer.cell[:2, :2]
    difference = (upper[:, None] - lower) @ np.linalg.inv(cell)
    over = np.linalg.norm((difference - difference.round()) @ cell, axis=-1).min(1)
    assert sorted(over) == pytest.approx([0.0, 1.42], abs=1e-6)  # AB: one atom above another, one above a hollow
    assert Sheet("MoS2", [2, 2])({}, None)[0].get_chemical_formula() == "Mo4S8"
    (nitride,) = Sheet("BN", layers=2)({}, None)
    assert nitride.numbers.tolist() in ([5, 7, 7, 5], [7, 5, 5, 7])


@pytest.mark.parametrize(
    "spec, words",
    [
        ({"Liquid": {"of": "H2O", "n": 16, "density": 4.0}}, "do not fit into"),
        ({"Liquid": {"of": "H20"}}, "did you mean 'H2'"),
        ({"Liquid": {"of": "H2O", "density": -1.0}}, "a density is positive"),
        ({"Liquid": {"of": {}}}, "names molecules with their shares"),
        (
            {"SolidLiquid": {"slab": "slab", "of": "C6H6", "thickness": 0.5, "density": 9.0}},
            "holds less than one|larger",
        ),
        ({"SolidLiquid": {"slab": "tube"}}, "periodic in the plane"),
        ({"Slit": {"wall": "slab", "width": 4.0}}, "no volume"),
        ({"Filled": {"pore": "slab"}}, "only a tube"),
        ({"Filled": {"pore": "tube"}}, "no room is left"),
        ({"Nanotube": {"n": 1, "m": 1}}, "add up to 3 or more"),
        ({"Pore": {"of": "Cu", "radius": 9.0}}, "does not fit into a cell"),
        ({"Pore": {"of": "slab", "radius": 1.0}}, "runs along a periodic cell vector"),
        ({"Sheet": {"of": "Q"}}, "sheets are of"),
    ],
)
def test_bad_liquids_are_one_sentence(spec, words, rng):
    made = {"slab": Slab("Cu", [1, 1, 1], layers=2, repeat=[3, 3])({}, rng), "tube": Nanotube(4, 0)({}, rng)}
    with pytest.raises(ValueError, match=words):
        build(spec, Generator)(made, rng)


def test_a_molecule_larger_than_its_region(rng):
    long = Atoms("C20", [[1.3 * k, 0.6 * (k % 2), 2.5 * (k % 3)] for k in range(20)])
    made = {"slab": Slab("Cu", [1, 1, 1], layers=2, repeat=[8, 8])({}, rng), "long": [long]}
    with pytest.raises(ValueError, match="larger than its region"):
        SolidLiquid("slab", "long", thickness=0.3, density=20.0)(made, rng)
