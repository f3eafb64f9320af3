"""The same potential made faster: ``tabulate``.

What is a sum of pairs and triplets goes on splines, together with its doubt where it knows that; a family that has
tables or maps of its own makes those (``Potential.tabulated``); the other parts of a sum stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import torch
from ase.data import atomic_numbers, covalent_radii
from jaxtyping import Float
from scipy.stats import spearmanr
from torch import Tensor

from . import kernels
from .fitting import predict
from .graph import Graph
from .nn.spline_grids import SplineGrid
from .potential import Potential, ReferenceEnergies, Sum, check_elements, evaluate
from .potentials.environment_gp import EnvironmentGP
from .potentials.tabulated import Tabulated, TabulatedModes
from .structures import Structures
from .uncertainty import Doubtful, Ensemble, LinearEnsemble, QuadraticDoubt

_NEGLIGIBLE = 1e-6  # eV that three neighbors at once may add to what pairs of them do
_ATOMS = 500  # of given structures, by which the modes of doubt are chosen

Parts = list[tuple[Potential, Tensor | None]]
"""What is added, at its coefficients (None), or at each column of ``[coefficients, modes]``."""


class Mapped(NamedTuple):
    """A potential made faster, and how far it is from what it was made of on structures or random clusters."""

    potential: Potential
    energy: float  # largest error of an atom's energy, eV
    forces: float  # largest error of a force component, eV/Å
    std: float | None = None  # largest error of the standard deviation of a force component, eV/Å
    alike: float | None = None  # rank correlation of the standard deviations of forces on atoms, before and after
    kept: tuple[str, ...] = ()  # parts that stay as they were


class _How(NamedTuple):
    elements: list[str]
    begin: float
    pairs: int
    triplets: int

    def coarser(self) -> _How:
        return self._replace(pairs=max(self.pairs // 2, 5), triplets=max(self.triplets // 2, 5))


def tabulate(
    potential: Potential,
    begin: float | None = None,
    pairs: int = 400,
    triplets: int = 64,
    structures: Structures | None = None,
    lost: float = 0.01,
) -> Mapped:
    """Make a potential faster: FLARE, GAP's pairs and triplets, UF3, Stillinger-Weber, Deep Potential and so on.

    What is tabulated of pairs and triplets are energies of lone atoms, of two and of three; triangles are asked for as
    such where there are any. The doubt of a ``LinearEnsemble`` becomes that of a few functions on coarser splines, the
    principal components of its force deviations. ``ValueError`` where no part can be made faster.

    Args:
        potential: what is mapped; with its doubt, if it is an ensemble.
        begin: shortest distance in the tables, Å; the smallest covalent radius if not given.
        pairs: knots of the splines of pairs.
        triplets: knots along each direction of those of triplets; half as many for doubt.
        structures: where the error is measured; random clusters of twelve atoms if not given.
        lost: largest share of the standard deviation of a force or an energy that left-out components may have.
    """
    if potential.elements is None:
        raise ValueError(f"{type(potential).__name__} knows any element, so that no table can be made for each")
    if structures is not None:
        check_elements(potential, structures)
    elements = list(potential.elements)
    begin = min(covalent_radii[atomic_numbers[e]] for e in elements) if begin is None else begin
    how = _How(elements, begin, pairs, triplets)
    clusters = _random(elements, 1.3 * begin, 12, 30)
    some = [clusters] if structures is None else [clusters, _first_atoms(structures)]
    made, kept = _made(potential, how, some, lost)
    s = clusters if structures is None else structures
    by_itself = made is potential  # it makes its tables when it is evaluated: the error is against its definition
    with kernels.plain() if by_itself else nullcontext():
        before = predict(potential, s, stress=False)
    after = predict(made, s, stress=False)
    energy, forces = (float((getattr(after, x) - getattr(before, x)).abs().max()) for x in ("energies", "forces"))
    if after.std is None:
        return Mapped(made, energy, forces, kept=kept)
    old, new = before.std.forces, after.std.forces
    alike = float(spearmanr(old.norm(dim=1), new.norm(dim=1)).statistic)
    return Mapped(made, energy, forces, float((new - old).abs().max()), alike, kept)


def _made(potential: Potential, how: _How, some: list[Structures], lost: float) -> tuple[Potential, tuple[str, ...]]:
    if isinstance(potential, LinearEnsemble):
        beyond = [p for p in _leaves(potential.potential) if _many_body(p, how) > _NEGLIGIBLE]
        if not beyond:
            return _with_modes(potential, how, some, lost), ()
        if len(beyond) == 1 and isinstance(beyond[0], EnvironmentGP) and beyond[0].normalize:
            return _with_form(potential, beyond[0], how, some, lost)
        names = ", ".join(type(p).__name__ for p in beyond)
        raise ValueError(f"the doubt of {names} cannot be tabulated; tabulate its potential alone")
    if isinstance(potential, Ensemble):
        members = [_made(m, how, some, lost) for m in potential.members]
        ensemble = Ensemble.of(m for m, _ in members)
        ensemble.scales.copy_(potential.scales)
        return ensemble, members[0][1]
    if isinstance(potential, Doubtful):
        name = type(potential).__name__
        raise ValueError(f"the doubt of {name} cannot be tabulated; tabulate its potential alone, and fit it again")
    parts = list(_leaves(potential))
    own = {p: x for p in parts if (x := p.tabulated(how.begin)) is not None}
    beyond = {p: _many_body(p, how) for p in parts if p not in own}
    few = [p for p in beyond if beyond[p] <= _NEGLIGIBLE]
    if not own and not any(p.cutoff for p in few):
        name, worst = type(potential).__name__, max(beyond.values())
        reason = f": atoms with three neighbors have {worst:.2g} eV beyond those" if worst < torch.inf else ""
        raise ValueError(f"{name} is no sum of pairs and triplets{reason}; and its family has no tables of its own")
    if all(own.get(p) is p for p in parts):
        return potential, ()
    kept = [p for p in parts if p not in own and p not in few]
    if any(p.cutoff for p in few):
        alone, maps = _maps([(p, None) for p in few], how)
        reference = [ReferenceEnergies(dict(zip(how.elements, alone.tolist())))] if bool((alone != 0).any()) else []
        few = [*reference, *map(_table, *zip(*maps, strict=True), [how.elements] * len(maps))]
    together = [*few, *own.values(), *kept]
    return together[0] if len(together) == 1 else Sum(together), tuple(type(p).__name__ for p in kept)


def _with_form(
    ensemble: LinearEnsemble, process: EnvironmentGP, how: _How, some: list[Structures], lost: float
) -> tuple[QuadraticDoubt, tuple[str, ...]]:
    """The mean made faster where it can be, and doubt as a quadratic form with the same mean square."""
    if len(some) == 1:
        raise ValueError("the doubt of environments needs structures like those it will be asked about, for its unit")
    try:
        mean, kept = _made(ensemble.potential, how, some, lost)
    except ValueError:  # it is only doubt that becomes cheaper
        mean, kept = ensemble.potential, tuple(type(p).__name__ for p in _leaves(ensemble.potential))
    made = QuadraticDoubt(mean, process.descriptor)
    for g in process.group.unique().tolist():
        made.know(g, process.points[process.group == g], process.jitter)
    old, new = (evaluate(p, some[-1], stress=False).std for p in (ensemble, made))
    made.rescale(*(float(getattr(old, x).norm() / getattr(new, x).norm()) for x in ("energy", "forces")))
    return made, kept


def _with_modes(ensemble: LinearEnsemble, how: _How, some: list[Structures], lost: float) -> LinearEnsemble:
    """The mean on splines, and beside it the functions that are in doubt."""
    parts = list(_leaves(ensemble.potential))
    S = ensemble.spread.double() @ _leading(ensemble, some, lost)
    rows = S.split([len(p.coefficients) if p.linear else 0 for p in parts])
    alone, maps = _maps([(p, None) for p in parts], how)
    alone_modes, modes = _maps([(p, x) for p, x in zip(parts, rows) if len(x)], how.coarser(), S.shape[1])
    potential = Sum(
        [
            ReferenceEnergies(dict(zip(how.elements, alone.tolist()))),
            *(_table(*m, how.elements) for m in maps),
            *(_modes(*m, how.elements) for m in modes),
        ]
    )
    one = torch.eye(S.shape[1], dtype=torch.float64)
    made = LinearEnsemble.of(potential, torch.cat([alone_modes, *[one] * len(modes)]))
    made.scales.copy_(ensemble.scales)
    made.noise.copy_(ensemble.noise)
    return made


def _leading(ensemble: LinearEnsemble, some: list[Structures], lost: float) -> Float[Tensor, "M modes"]:
    """Directions of the deviations without which no force and no energy loses more than a share of its own."""
    p, rows = ensemble.potential, []
    for s in some:
        graph = Graph.of(s, p.cutoff)
        of = p.design(graph, virial=False)
        rows += [of.energy, of.forces.flatten(0, 1), p.projections(graph)]
    x = torch.cat(rows).double() @ ensemble.spread.double()
    size = torch.linalg.vector_norm(x, dim=1)
    x = x[size > 1e-6 * size.max()]
    x = x / torch.linalg.vector_norm(x, dim=1, keepdim=True)
    axes = torch.linalg.eigh(x.T @ x).eigenvectors.flip(1)
    worst = (x @ axes).square().cumsum(1).clamp_max(1).sqrt().amin(0)
    n = 1 + int((worst < 1 - lost).sum())
    return axes[:, : 8 * -(-n // 8)]  # eight are as fast as one


def _table(grid: SplineGrid, e2: Tensor, e3: Tensor, elements: list[str]) -> Tabulated:
    table = Tabulated(elements, *grid[1:])
    table.place(e2, e3)
    return table


def _modes(grid: SplineGrid, e2: Tensor, e3: Tensor, elements: list[str]) -> TabulatedModes:
    modes = TabulatedModes(elements, *grid[1:], modes=e2.shape[-1])
    modes.place(e2, e3)
    modes.coefficients = torch.zeros(e2.shape[-1])
    return modes


def _leaves(potential: Potential) -> Iterator[Potential]:
    whole = potential if isinstance(potential, Sum) else getattr(potential, "sum", None)
    if whole is None:
        yield potential
    else:
        for part in whole.parts:
            yield from _leaves(part)


def _maps(parts: Parts, how: _How, *modes: int) -> tuple[Tensor, list[tuple[SplineGrid, Tensor, Tensor]]]:
    """Energies of lone atoms; knots of tables, and energies there of pairs and of triplets."""
    straight = [(p, x) for p, x in parts if hasattr(p, "triangles")]
    bent = [(p, x) for p, x in parts if not hasattr(p, "triangles") and _bends(p, how)]
    n, maps = len(how.elements), []
    for third, of in (("side", straight), ("cosine", bent)):
        if not of and (maps or third == "side"):
            continue
        reach, first = max((p.cutoff for p, _ in of), default=0.0), not maps
        knots = how.pairs if first else 5, how.triplets if of else 5
        grid = SplineGrid(n, max(p.cutoff for p, _ in parts), reach, how.begin, *knots, third)
        x, ask = grid.of_triplets(), _of_sides if third == "side" else _of_angles
        e3 = [ask(of, how, ijk, x.reshape(-1, 3)).reshape(*x.shape[:3], *modes) for ijk in grid.triples]
        e2 = _of_lengths(parts, how, grid.of_pairs()) if first else x.new_zeros(n * n, grid.pairs, *modes)
        maps.append((grid, e2, torch.stack(e3) if e3 else x.new_zeros(0, *x.shape[:3], *modes)))
    alone = torch.cat([_share(parts, how, (k,), torch.zeros(1, 1, 3)) for k in range(n)])
    return alone, maps


def _of_lengths(parts: Parts, how: _How, r: Float[Tensor, "knots"]) -> Float[Tensor, "pairs knots *m"]:
    positions = torch.zeros(len(r), 2, 3, dtype=r.dtype)
    positions[:, 1, 0] = r
    return torch.stack([_share(parts, how, ij, positions) for ij in product(range(len(how.elements)), repeat=2)])


def _of_sides(parts: Parts, how: _How, ijk: tuple[int, int, int], x: Float[Tensor, "T 3"]) -> Float[Tensor, "T *m"]:
    return sum(p.triangles(x, ijk, c) for p, c in parts)


def _of_angles(parts: Parts, how: _How, ijk: tuple[int, int, int], x: Float[Tensor, "T 3"]) -> Float[Tensor, "T *m"]:
    a, b, cos = x.unbind(1)
    cos = cos.clamp(-1, 1 - 1e-9)  # no two atoms at one place
    positions = x.new_zeros(len(x), 3, 3)
    positions[:, 1, 0], positions[:, 2, 0], positions[:, 2, 1] = a, b * cos, b * (1 - cos * cos).sqrt()
    return torch.cat([_share(parts, how, ijk, y) for y in positions.split(10_000)])


def _share(parts: Parts, how: _How, kinds: tuple[int, ...], positions: Float[Tensor, "M n 3"]) -> Float[Tensor, "M *m"]:
    """What the energy of the first atom owes to all others at once, and not to some of them (eV)."""
    total = 0.0
    for n in range(len(kinds)):
        for others in combinations(range(1, len(kinds)), n):
            atoms = [0, *others]
            s = _clusters(how.elements, [tuple(kinds[k] for k in atoms)], positions[:, atoms])
            total = total + (-1) ** (len(kinds) - 1 - n) * sum(_energies(p, c, s) for p, c in parts)
    return total


def _energies(part: Potential, coefficients: Tensor | None, s: Structures) -> Float[Tensor, "M *m"]:
    """Of the first atom of each structure, eV."""
    if coefficients is None:
        return evaluate(part, s, forces=False, stress=False, std=False).energies[s.offsets[:-1]].double()
    return part.projections(Graph.of(s, part.cutoff))[s.offsets[:-1]].double() @ coefficients


def _bends(part: Potential, how: _How) -> bool:
    """Whether two neighbors at once give an atom more energy than one at a time."""
    r = torch.linspace(how.begin, 0.95 * max(part.cutoff, how.begin), 6, dtype=torch.float64)
    x = torch.cartesian_prod(r, r, torch.linspace(-1, 0.9, 6, dtype=r.dtype))
    triples = product(range(len(how.elements)), repeat=3)
    return any(float(_of_angles([(part, None)], how, ijk, x).abs().max()) > 1e-9 for ijk in triples)


def _many_body(part: Potential, how: _How) -> float:
    """Largest energy that atoms owe to three neighbors at once, eV; infinite where neighbors are not all there is."""
    if not (part.local and part.any_atoms):
        return torch.inf
    some = _random(how.elements, 1.3 * how.begin, 4, 30).positions.reshape(-1, 4, 3)
    n = len(how.elements)
    kinds = [tuple((k + j) % n for j in range(4)) for k in range(n)]
    return max(float(_share([(part, None)], how, k, some).abs().max()) for k in kinds)


def _first_atoms(structures: Structures) -> Structures:
    """As many structures as come first and have no more than some atoms."""
    n = int((structures.counts.cumsum(0) <= _ATOMS).sum())
    return structures[list(range(max(n, 1)))]


def _clusters(elements: list[str], kinds: list[tuple[int, ...]], positions: Float[Tensor, "M n 3"]) -> Structures:
    numbers = torch.tensor([atomic_numbers[e] for e in elements])[torch.tensor(kinds)]
    M, n = positions.shape[:2]
    positions = positions.double()
    cell, none = positions.new_zeros(M, 3, 3), positions.new_zeros(M)
    of = torch.arange(M).repeat_interleave(n)
    numbers = numbers.expand(M, -1).reshape(-1)
    return Structures(numbers, positions.reshape(-1, 3), cell, cell[:, 0] != 0, of, none, none)


def _random(elements: list[str], least: float, n: int, many: int) -> Structures:
    """Clusters of ``n`` atoms as dense as comes by chance, none nearer than this to another."""
    rng, found = np.random.default_rng(0), []
    for _ in range(many):
        x = np.zeros((0, 3))
        while len(x) < n:
            new = rng.uniform(0, 1.5 * least * n ** (1 / 3), 3)
            x = np.vstack([x, new]) if (np.linalg.norm(x - new, axis=1) > least).all() else x
        found.append(torch.from_numpy(x))
    kinds = [tuple(rng.integers(0, len(elements), n).tolist()) for _ in found]
    return _clusters(elements, kinds, torch.stack(found))
