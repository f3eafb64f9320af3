"""The surface that a ball feels when it rolls over the atoms: slabs, steps, particles and wires by one construction.

The ball's center moves on spheres about the atoms: F. M. Richards, Annu. Rev. Biophys. Bioeng. 6, 151 (1977). Touching
one atom it moves over a sphere, touching two along an arc, and where it touches three or more it rests. These are the
corners, edges and faces of a polyhedron, for which Euler's formula holds: 2 = corners - edges + faces of a particle,
and 0 on each side of a slab.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .contacts import pairs
from .hard_spheres import coordination, hard_spheres

CLOSE = 0.4  # mean radii: up to this far from each other rests may be one
FLAT = 0.87  # cosine of the angle, 30 degrees, up to which two triangles are of one facet


@dataclass(frozen=True)
class Contact:
    """Where the ball touches one, two or more atoms.

    Args:
        atoms: their indices; an atom and its image may both be there.
        places: positions of these atoms, images included, Å.
        normal: unit vector from them to the ball.
        side: ``"top"`` or ``"bottom"`` of a slab, else ``"outside"``.
    """

    atoms: tuple[int, ...]
    places: np.ndarray
    normal: np.ndarray
    side: str

    @property
    def position(self) -> np.ndarray:
        """The middle of the atoms, Å."""
        return self.places.mean(0)


def exposed(atoms: Atoms, probe: float | None = None) -> list[Contact]:
    """All that a ball can touch from outside: atoms, pairs along which it rolls, and threes or more on which it rests.

    Args:
        atoms: of any periodicity but that of a crystal; along an axis with a gap of 6 Å or more they end.
        probe: radius of the ball, Å, on atoms that are ``hard_spheres``. A larger one rolls over troughs and feet
            of steps into which a smaller one falls. Default: 0.8 mean radii of the atoms if they are close-packed, to
            feel every facet; 1.2 if they are not, to stay out of the crystal's own channels.
    """
    atoms = without_vacuum(atoms)
    if atoms.pbc.all():
        raise ValueError("a crystal that fills space has no surface; this takes a slab, a wire or a particle")
    radii = hard_spheres(atoms)
    if probe is None:
        probe = (0.8 if coordination(atoms).max(initial=0) >= 8 else 1.2) * radii.mean()
    if not probe > 0:
        raise ValueError(f"the probe is a ball with a radius above zero, in Å, got {probe:g}")
    arcs = _arcs(atoms, radii + probe)
    if not arcs:
        raise ValueError(
            f"a ball of radius {probe:.2f} Å finds no three atoms to rest on; these are too few or too far"
        )
    close = CLOSE * radii.mean()
    faces, of_end = _faces(atoms, arcs, close)
    sides = _sides(atoms, faces, of_end)
    edges = [
        Contact(arc.atoms, arc.places, _unit(arc.middle - arc.places.mean(0)), sides[here])
        for arc, (here, there) in zip(arcs, of_end)
        if here != there or np.linalg.norm(arc.ends[0].ball - arc.ends[1].ball) > 2 * close  # to its own image
    ]
    rests = [Contact(f.atoms, f.places, _unit(f.ball - f.places.mean(0)), side) for f, side in zip(faces, sides)]
    return [c for c in [*_corners(atoms, faces, sides, close), *edges, *rests] if c.side]


def without_vacuum(atoms: Atoms, gap: float = 6.0) -> Atoms:
    """The same atoms, in one piece and not periodic along cell vectors across which there is a gap (Å)."""
    atoms = atoms.copy()
    cell = np.asarray(atoms.cell.complete())
    height = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    f = atoms.positions @ np.linalg.inv(cell)
    for axis in np.flatnonzero(atoms.pbc):
        x = np.sort(f[:, axis] % 1.0)
        empty = np.diff(x, append=x[0] + 1)
        if empty.max() * height[axis] > gap:
            lowest = x[(empty.argmax() + 1) % len(x)] - 1e-9
            f[:, axis] = (f[:, axis] - lowest) % 1.0 + lowest
            atoms.pbc[axis] = False
    atoms.set_positions(f @ cell, apply_constraint=False)
    return atoms


def upward(slab: Atoms) -> np.ndarray:
    """The unit normal of a slab that points to its top: along z, or whichever axis it is nearest to."""
    n = np.cross(*np.asarray(slab.cell)[slab.pbc])
    return _unit(n * np.sign(n[np.abs(n).argmax()]))


class _Rest(NamedTuple):
    """The ball touches three atoms or more."""

    ball: np.ndarray
    atoms: tuple[int, ...]
    places: np.ndarray


class _Arc(NamedTuple):
    """The ball rolls along two atoms, from one rest to another."""

    atoms: tuple[int, int]
    places: np.ndarray
    middle: np.ndarray
    ends: tuple[_Rest, _Rest]


class _Circle(NamedTuple):
    """On which the ball touches two atoms."""

    middle: np.ndarray
    radius: float
    e1: np.ndarray
    e2: np.ndarray

    def at(self, phi: float) -> np.ndarray:
        return self.middle + self.radius * (self.e1 * np.cos(phi) + self.e2 * np.sin(phi))


def _arcs(atoms: Atoms, R: np.ndarray) -> list[_Arc]:
    """On the circle on which two spheres meet each other sphere forbids an interval; arcs are what is left of it."""
    i, j, D = pairs(atoms, 2 * R.max())
    near = np.linalg.norm(D, axis=1) < R[i] + R[j] - 1e-6
    order = np.argsort(i[near], kind="stable")
    i, j, D = (x[near][order] for x in (i, j, D))
    first = np.searchsorted(i, np.arange(len(atoms) + 1))
    arcs = []
    for a in range(len(atoms)):
        others, V = j[first[a] : first[a + 1]], D[first[a] : first[a + 1]]
        if len(others) < 2:
            continue
        length = np.linalg.norm(V, axis=1)
        u = V / length[:, None]
        along = (length**2 + R[a] ** 2 - R[others] ** 2) / (2 * length)
        rho = np.sqrt(np.maximum(R[a] ** 2 - along**2, 1e-12))
        e1 = _unit(np.cross(u, np.eye(3)[np.abs(u).argmin(1)]))
        e2 = np.cross(u, e1)
        w = (along[:, None] * u)[:, None] - V[None]  # [pair, third, 3]: from the third atom to the circle's middle
        w1, w2 = np.einsum("pkx,px->pk", w, e1), np.einsum("pkx,px->pk", w, e2)
        across = np.maximum(np.hypot(w1, w2), 1e-9)
        # |middle + rho (e1 cos phi + e2 sin phi) - third| >= R  where  cos(phi - phi0) >= q
        q = (R[others] ** 2 - (w**2).sum(-1) - rho[:, None] ** 2) / (2 * rho[:, None] * across)
        np.fill_diagonal(q, -np.inf)
        once = (others > a) | ((others == a) & (V @ [1.0, 1e-3, 1e-6] > 0))
        for p in np.flatnonzero(once & (q.max(1) < 1)):
            k = np.flatnonzero(q[p] > -1)
            allowed = np.arccos(q[p, k])
            begin = np.arctan2(w2[p, k], w1[p, k]) + allowed  # of what is forbidden
            circle = _Circle(atoms.positions[a] + along[p] * u[p], rho[p], e1[p], e2[p])
            two, places = (a, int(others[p])), atoms.positions[a] + np.array([np.zeros(3), V[p]])
            for (start, s), (end, t) in _gaps(begin, begin + 2 * (np.pi - allowed)):
                ends = tuple(
                    _Rest(
                        circle.at(phi), (*two, int(others[third])), np.vstack([places, atoms.positions[a] + V[third]])
                    )
                    for phi, third in ((start, k[s]), (end, k[t]))
                )
                arcs.append(_Arc(two, places, circle.at((start + end) / 2), ends))
    return arcs


def _gaps(begin: np.ndarray, end: np.ndarray) -> list[tuple[tuple[float, int], tuple[float, int]]]:
    """What intervals of angles leave free: ``(angle, interval)`` that ends there, and that begins."""
    turn = 2 * np.pi
    move = np.floor(begin / turn) * turn
    order = np.argsort(begin - move, kind="stable")
    twice = [((begin - move)[k] + lap, (end - move)[k] + lap, int(k)) for lap in (0.0, turn) for k in order]
    gaps, (reach, last) = [], (-np.inf, -1)
    for start, stop, k in twice:
        if start > reach and start >= turn and last >= 0:
            gaps.append(((reach, last), (start, k)))
        if stop > reach:
            reach, last = stop, k
    return gaps


def _faces(atoms: Atoms, arcs: list[_Arc], close: float) -> tuple[list[_Rest], np.ndarray]:
    """Rests that are one made one, and which of them is at each end of each arc.

    Rests close to each other are one: on a square that is a little oblique, in a pit. But where just two facets meet,
    at the foot of a step, there are two.
    """
    rests = [rest for arc in arcs for rest in arc.ends]
    balls = np.array([r.ball for r in rests])
    i, j, D = pairs(Atoms(f"X{len(rests)}", balls, cell=atoms.cell, pbc=atoms.pbc), close)
    normals = np.array([_plane(rest) for rest in rests])
    flat = ((normals[i] * normals[j]).sum(1) > FLAT) | (np.linalg.norm(D, axis=1) < 0.05 * close)
    label, facet = _connected(len(rests), i, j), _connected(len(rests), i[flat], j[flat])
    number = np.bincount(np.unique(np.column_stack([label, facet]), axis=0)[:, 0])  # of facets that meet there
    label = np.where(number[label] == 2, len(rests) + facet, label)
    _, representative, label = np.unique(label, return_index=True, return_inverse=True)
    rows = np.asarray(atoms.cell) * atoms.pbc[:, None]
    away = balls[representative[label]] - balls
    moves = np.round(away @ np.linalg.pinv(rows)) @ rows
    faces = []
    for f in range(len(representative)):
        here = np.flatnonzero(label == f)
        places = np.concatenate([rests[k].places + moves[k] for k in here])
        indices = np.concatenate([rests[k].atoms for k in here])
        new = [k for k, x in enumerate(places) if np.linalg.norm(places[:k] - x, axis=1).min(initial=1.0) > 0.1]
        faces.append(_Rest((balls[here] + moves[here]).mean(0), tuple(indices[new].tolist()), places[new]))
    return faces, label.reshape(-1, 2)


def _plane(rest: _Rest) -> np.ndarray:
    """The normal of the three atoms, towards the ball."""
    n = np.cross(rest.places[1] - rest.places[0], rest.places[2] - rest.places[0])
    return _unit(n * np.sign(n @ (rest.ball - rest.places[0])))


def _connected(n: int, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Labels of what is linked, directly or not."""
    return connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(n, n)), directed=False)[1]


def _sides(atoms: Atoms, faces: list[_Rest], of_end: np.ndarray) -> list[str]:
    """Of each face the side it is on, empty within a cavity: sides are what arcs connect."""
    sheet = _connected(len(faces), *of_end.T)
    balls = np.array([f.ball for f in faces])
    rows = np.asarray(atoms.cell)[atoms.pbc]
    if len(rows) == 2:
        height = balls @ upward(atoms)
        top, bottom = sheet[height.argmax()], sheet[height.argmin()]
        if top == bottom:
            raise ValueError("the probe passes through this slab, from its top to its bottom; take a larger one")
        return ["top" if s == top else "bottom" if s == bottom else "" for s in sheet]
    x = balls - atoms.positions.mean(0)
    x = x - x @ np.linalg.pinv(rows) @ rows if len(rows) else x
    return ["outside" if s == sheet[np.linalg.norm(x, axis=1).argmax()] else "" for s in sheet]


def _corners(atoms: Atoms, faces: list[_Rest], sides: list[str], close: float) -> list[Contact]:
    """The atoms of each side, with the mean direction to the ball on them, but those at the bottom of a face."""
    directions: dict[tuple[str, int], list[np.ndarray]] = {}
    for face, side in zip(faces, sides):
        for atom, place in zip(face.atoms, face.places):
            directions.setdefault((side, atom), []).append((*(face.ball - place), len(face.atoms) > 3))
    found = []
    for (side, atom), to_ball in sorted(directions.items(), key=lambda item: item[0]):
        to_ball, hollow = np.array(to_ball)[:, :3], np.array(to_ball)[:, 3] > 0
        normal = _unit(_unit(to_ball).sum(0))
        if np.linalg.norm(np.cross(to_ball[hollow], normal), axis=1).min(initial=np.inf) > close:
            found.append(Contact((atom,), atoms.positions[[atom]], normal, side))
    return found


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
