"""The laws every potential and descriptor must obey, public, for classes inside and outside the package.

``check_potential(MyPotential)`` builds it with its ``small`` arguments, tries every law on small systems with every
kind of periodicity, and raises one error that says which laws are broken, by how much, and how to mend each. A law is
a function whose docstring states it and, after "Remedy:", what usually went wrong.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from torch import Tensor

from . import kernels
from .config import build, describe
from .descriptor import Descriptor
from .graph import Graph
from .potential import PerAtom, Potential, Prediction, evaluate
from .structures import Structures

PERIODICITIES = {"bulk": (1, 1, 1), "slab": (1, 1, 0), "wire": (1, 0, 0), "cluster": (0, 0, 0)}


class LawBroken(AssertionError):
    """A potential breaks one or more laws; the message says which, by how much, and how to mend it."""


@dataclass(frozen=True)
class Outcome:
    """What came of one law: ``message`` is empty where it holds."""

    law: str
    message: str
    remedy: str

    @property
    def holds(self) -> bool:
        return not self.message


def check_potential(
    potential: type[Potential] | Potential, laws: Iterable[str] | None = None, seed: int = 0, raises: bool = True
) -> list[Outcome]:
    """Try the laws on a potential and say what failed and how to mend it.

    Args:
        potential: a class, built with its ``small`` arguments, or an object in float64.
        laws: names of the laws to try; all by default (see ``LAWS``).
        seed: of the random systems.
        raises: raise ``LawBroken`` if any law is broken; otherwise only return the outcomes.
    """
    if isinstance(potential, type):
        potential = potential(**potential.small)
    potential = potential.double()
    chosen = list(LAWS) if laws is None else list(laws)
    outcomes = [_try(LAWS[name], potential, np.random.default_rng(seed)) for name in chosen]
    broken = [o for o in outcomes if not o.holds]
    if broken and raises:
        lines = [f"- {o.law}: {o.message}\n  Remedy: {o.remedy}" for o in broken]
        name = type(potential).__name__
        raise LawBroken(f"{name} breaks {len(broken)} of {len(chosen)} laws:\n" + "\n".join(lines))
    return outcomes


def check_descriptor(
    descriptor: type[Descriptor] | Descriptor, laws: Iterable[str] | None = None, seed: int = 0, raises: bool = True
) -> list[Outcome]:
    """Try the laws on a descriptor: on the potential that is a fixed random sum of its features."""
    if isinstance(descriptor, type):
        descriptor = descriptor(**descriptor.small)
    return check_potential(Readout(descriptor), laws, seed, raises)


class Readout(Potential):
    """A fixed linear readout of a descriptor, which obeys the laws if the descriptor does.

    Args:
        descriptor: the descriptor that is read.
    """

    def __init__(self, descriptor: Descriptor):
        super().__init__()
        descriptor = build(descriptor)
        self.cutoff, self.elements, self.descriptor = descriptor.cutoff, descriptor.elements, descriptor.double()
        self.local = descriptor.local
        weights = torch.randn(descriptor.n_features, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        self.register_buffer("weights", weights / descriptor.n_features**0.5)

    def forward(self, graph: Graph) -> PerAtom:
        return PerAtom(self.descriptor(graph) @ self.weights)


def _try(law: Callable, potential: Potential, rng: np.random.Generator) -> Outcome:
    remedy = (law.__doc__ or "").partition("Remedy:")[2]
    try:
        law(potential, rng)
        message = ""
    except LawBroken as broken:
        message = str(broken)
    except Exception as error:
        message = f"raised {type(error).__name__}: {error}"
    return Outcome(law.__name__.replace("_", " "), message, " ".join(remedy.split()))


def _require(value: Tensor, expected: Tensor, tolerance: float, what: str) -> None:
    """``value`` equals ``expected`` within ``tolerance`` times the larger of 1 and the scale of ``expected``."""
    value, expected = value.detach(), expected.detach()
    if value.shape != expected.shape:
        raise LawBroken(f"{what}: shape {tuple(value.shape)} instead of {tuple(expected.shape)}")
    if not bool(torch.isfinite(value).all()):
        raise LawBroken(f"{what}: not finite")
    if value.numel() == 0:
        return
    error = float((value.double() - expected.double()).abs().max())
    scale = max(1.0, float(expected.abs().max()))
    if error > tolerance * scale:
        raise LawBroken(f"{what}: off by {error:.2e} where {tolerance * scale:.0e} is allowed")


# ------------------------------------------------------------------------------------------------- systems to try on


def sample(potential: Potential, kind: str, rng: np.random.Generator, n: int = 4, rattle: float = 0.12) -> Atoms:
    """A small, distorted, sheared system of the potential's elements, with the given periodicity."""
    symbols = list(potential.elements or ("Si", "H"))[:3]
    radius = float(np.mean([covalent_radii[atomic_numbers[s]] for s in symbols]))
    a = 2 * np.sqrt(2) * radius * 1.12
    fcc = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])[:n]
    cell = a * (np.eye(3) + rng.uniform(-0.06, 0.06, (3, 3)))
    names = [symbols[k % len(symbols)] for k in range(n)]
    atoms = Atoms(names, positions=fcc @ cell + rng.normal(0, rattle, (n, 3)), cell=cell, pbc=PERIODICITIES[kind])
    return atoms


def _all_kinds(potential: Potential, rng: np.random.Generator) -> Structures:
    return Structures.from_ase([sample(potential, kind, rng) for kind in PERIODICITIES])


def _energies(potential: Potential, structures: Structures | Graph) -> Prediction:
    return evaluate(potential, structures, forces=False, stress=False)


def _random_rotation(rng: np.random.Generator) -> Tensor:
    Q, R = np.linalg.qr(rng.normal(size=(3, 3)))
    Q = Q * np.sign(np.diag(R))
    return torch.from_numpy(Q * np.sign(np.linalg.det(Q)))


# -------------------------------------------------------------------------------------------------------------- laws


def rotation(potential: Potential, rng: np.random.Generator) -> None:
    """Energy stays and forces and stress turn with the atoms.

    Remedy: use lengths and scalar products of graph.vectors, or equivariant features; never single components.
    """
    _turned(potential, rng, _random_rotation(rng))


def reflection(potential: Potential, rng: np.random.Generator) -> None:
    """Energy of the mirror image is the same.

    Remedy: a triple product or an odd coupling of spherical harmonics entered; only even total parity is a scalar.
    """
    _turned(potential, rng, -_random_rotation(rng))


def _turned(potential: Potential, rng: np.random.Generator, Q: Tensor) -> None:
    s = _all_kinds(potential, rng)
    before = evaluate(potential, s)
    after = evaluate(potential, replace(s, positions=s.positions @ Q.T, cell=s.cell @ Q.T))
    _require(after.energies, before.energies, 1e-8, "energy per atom of turned atoms")
    _require(after.forces, before.forces @ Q.T, 1e-7, "forces on turned atoms")
    known = s.pbc.any(1)
    _require(after.stress[known], (Q @ before.stress @ Q.T)[known], 1e-7, "stress of turned atoms")


def permutation(potential: Potential, rng: np.random.Generator) -> None:
    """The order of the atoms does not matter.

    Remedy: sum over neighbors; do not let features depend on the index of an atom or the order of edges.
    """
    if not potential.any_atoms:
        return
    atoms = sample(potential, "slab", rng)
    order = rng.permutation(len(atoms))
    before, after = (evaluate(potential, Structures.from_ase(a)) for a in (atoms, atoms[order]))
    _require(after.energies, before.energies[order], 1e-9, "energies of reordered atoms")
    _require(after.forces, before.forces[order], 1e-8, "forces on reordered atoms")


def translation(potential: Potential, rng: np.random.Generator) -> None:
    """Moving everything, or single atoms by lattice vectors, changes nothing.

    Remedy: positions themselves entered; use graph.vectors, or declare local = False and treat images consistently.
    """
    s = _all_kinds(potential, rng)
    before = evaluate(potential, s)
    jump = torch.from_numpy(rng.integers(-2, 3, (s.n_atoms, 3))).double() * s.pbc[s.system]
    moved = s.positions + torch.tensor([0.31, -1.7, 2.3]) + (jump[:, None] @ s.cell[s.system])[:, 0]
    after = evaluate(potential, s.with_positions(moved))
    _require(after.energies, before.energies, 1e-8, "energies of moved atoms")
    _require(after.forces, before.forces, 1e-7, "forces on moved atoms")


def batching(potential: Potential, rng: np.random.Generator) -> None:
    """A batch gives what its structures give one by one.

    Remedy: something is averaged or attended over the whole batch; sum per system with graph.structures.system.
    """
    s = _all_kinds(potential, rng)
    together = evaluate(potential, s)
    for k, single in enumerate(s):
        alone, part = evaluate(potential, single), together.select(s, k)
        _require(part.energy, alone.energy, 1e-10, f"energy of structure {k} of a batch")
        _require(part.forces, alone.forces, 1e-9, f"forces of structure {k} of a batch")


def extensivity(potential: Potential, rng: np.random.Generator) -> None:
    """Twice the cell has twice the energy, for every combination of periodic axes and cells smaller than the cutoff.

    Remedy: something depends on the number of atoms or on the volume, or an atom's own images are dropped.
    """
    if not potential.any_atoms:
        return
    for pbc in product((True, False), repeat=3):
        atoms = sample(potential, "bulk", rng, n=2)
        atoms.pbc = pbc
        repeats = tuple(2 if p else 1 for p in pbc)
        one, many = (_energies(potential, Structures.from_ase(a)) for a in (atoms, atoms * repeats))
        expected = one.energies.repeat(int(np.prod(repeats)))
        _require(many.energies, expected, 1e-8, f"energies per atom of a supercell, pbc={tuple(map(int, pbc))}")


def separation(potential: Potential, rng: np.random.Generator) -> None:
    """Two parts beyond the cutoff do not feel each other; lone atoms have a finite energy and no force.

    Remedy: guard divisions and roots by the number of neighbors; return zeros where there are no edges.
    """
    if not potential.local:
        return
    a, b = (sample(potential, "cluster", rng, n=n) for n in (3, 1))
    far = a.copy()
    b.positions += a.positions.max(0) + 200.0
    far += b
    parts = [evaluate(potential, Structures.from_ase(x)) for x in (a, b)]
    whole = evaluate(potential, Structures.from_ase(far))
    _require(whole.energy, parts[0].energy + parts[1].energy, 1e-9, "energy of two distant parts")
    _require(whole.forces, torch.cat([p.forces for p in parts]), 1e-8, "forces on two distant parts")
    _require(parts[1].forces, torch.zeros(1, 3), 1e-12, "force on a lone atom")


def longer_list(potential: Potential, rng: np.random.Generator) -> None:
    """Edges beyond the cutoff count for nothing.

    Remedy: multiply what an edge carries by a cutoff function that is exactly zero beyond potential.cutoff.
    """
    s = _all_kinds(potential, rng)
    before, after = (evaluate(potential, Graph.of(s, potential.cutoff + extra)) for extra in (0.0, 0.7))
    _require(after.energies, before.energies, 1e-10, "energies with a longer neighbor list")
    _require(after.forces, before.forces, 1e-9, "forces with a longer neighbor list")


def forces_are_derivatives(potential: Potential, rng: np.random.Generator) -> None:
    """Forces are minus the derivative of the energy, by finite differences.

    Remedy: a detach(), no_grad() or a kernel's backward is wrong; or local = True although positions entered.
    """
    s = _all_kinds(potential, rng)
    forces = evaluate(potential, s).forces
    t = torch.from_numpy(rng.normal(size=(s.n_atoms, 3)))

    def energy(x: float) -> Tensor:
        return _energies(potential, s.with_positions(s.positions + x * t)).energy

    slope = _finite_difference(energy, 1e-4)
    work = s.positions.new_zeros(s.n_systems).index_add(0, s.system, (forces * t).sum(1))
    _require(-slope, work, 1e-6, "forces against finite differences of the energy")


def stress_is_derivative(potential: Potential, rng: np.random.Generator) -> None:
    """Stress is the derivative of the energy by a strain of the periodic directions, with neighbors found anew.

    Remedy: for local = False, positions and cell must both be used as they come; for a kernel, check its backward.
    """
    s = _all_kinds(potential, rng)[:3]
    stress = evaluate(potential, s).stress
    e = torch.from_numpy(rng.normal(size=(3, 3)))
    e = s.periodic_projector @ (0.5 * (e + e.T)) @ s.periodic_projector

    def energy(x: float) -> Tensor:
        F = torch.eye(3, dtype=torch.float64) + x * e
        positions = (s.positions[:, None] @ F[s.system])[:, 0]
        return _energies(potential, replace(s, positions=positions, cell=s.cell @ F)).energy

    slope = _finite_difference(energy, 1e-4)
    _require((stress * e).sum((1, 2)) * s.measure, slope, 1e-5, "stress against an explicit deformation")


def second_derivatives(potential: Potential, rng: np.random.Generator) -> None:
    """Second derivatives by positions, and of forces by parameters, agree with finite differences.

    Remedy: the backward of a custom function is not differentiable itself, or a square root has no safe value at zero.
    """
    s = _all_kinds(potential, rng)
    t = torch.from_numpy(rng.normal(size=(s.n_atoms, 3)))
    graph = Graph.of(s, potential.cutoff)
    positions = s.positions.clone().requires_grad_()
    energy = potential(graph.of_structures(s.with_positions(positions))).energy.sum()
    if energy.requires_grad and potential.cutoff > 0:
        first = torch.autograd.grad(energy, positions, create_graph=True, allow_unused=True)[0]
        if first is not None and first.requires_grad:
            second = torch.autograd.grad((first * t).sum(), positions)[0]

            def gradient(x: float) -> Tensor:
                return -evaluate(potential, s.with_positions(s.positions + x * t), stress=False).forces

            _require(second, _finite_difference(gradient, 1e-4), 1e-5, "second derivatives by positions")
    parameters = [p for p in potential.parameters() if p.requires_grad]
    if not parameters:
        return
    p = evaluate(potential, s, create_graph=True)
    loss = (p.forces * t).sum() + p.energy.sum()
    if not loss.requires_grad:
        return
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    directions = [torch.from_numpy(rng.normal(size=tuple(x.shape))).to(x) for x in parameters]
    slope = sum((g * d).sum() for g, d in zip(gradients, directions) if g is not None)
    start = [x.detach().clone() for x in parameters]

    def loss_at(x: float) -> Tensor:
        for parameter, value, d in zip(parameters, start, directions):
            parameter.data = value + x * d
        p = evaluate(potential, s)
        return (p.forces * t).sum() + p.energy.sum()

    numeric = _finite_difference(loss_at, 1e-4)
    for parameter, value in zip(parameters, start):
        parameter.data = value
    _require(torch.as_tensor(slope), numeric, 2e-5, "derivative of energy and forces by the parameters")


def smoothness(potential: Potential, rng: np.random.Generator) -> None:
    """As an atom crosses the cutoff the energy does not jump, nor do the forces.

    Remedy: multiply by a cutoff function whose value and slope vanish at potential.cutoff, or declare continuity = 0.
    """
    if not potential.local or potential.cutoff <= 0:
        return
    symbol = (potential.elements or ("Si",))[0]
    radius = covalent_radii[atomic_numbers[symbol]]
    side = 2.2 * radius * np.array([0.62, 0.75, 0.2])

    def pull(r: float) -> Prediction:
        atoms = Atoms([symbol] * 3, positions=[[0, 0, 0], [r, 0, 0], side])
        return evaluate(potential, Structures.from_ase(atoms), stress=False)

    h = 1e-7
    before, inside, outside = (pull(potential.cutoff + x * h) for x in (-3, -1, 1))
    # Other pairs change along the way as well; what they change in one step they change in the next.
    energy, forces = (2 * getattr(inside, x) - getattr(before, x) for x in ("energy", "forces"))
    _require(energy, outside.energy, 1e-6, "energy just inside and just outside the cutoff")
    if potential.continuity >= 1:
        _require(forces, outside.forces, 1e-5, "forces just inside and just outside the cutoff")


def conservation(potential: Potential, rng: np.random.Generator) -> None:
    """The work of the forces along a long path is the change of energy, though neighbors come and go.

    Remedy: the energy or its slope jumps somewhere (cutoff, switch, table), or forces are not its derivative.
    """
    s = _all_kinds(potential, rng)
    t = torch.from_numpy(rng.normal(0, 0.25, (s.n_atoms, 3)))
    nodes, weights = np.polynomial.legendre.leggauss(8)
    pieces, work = 12, torch.zeros(s.n_systems, dtype=torch.float64)
    for k in range(pieces):
        for x, w in zip(nodes, weights):
            at = (k + 0.5 * (x + 1)) / pieces
            F = evaluate(potential, s.with_positions(s.positions + at * t), stress=False).forces
            work = work.index_add(0, s.system, (F * t).sum(1) * (0.5 * w / pieces))
    change = _energies(potential, s.with_positions(s.positions + t)).energy - _energies(potential, s).energy
    _require(-work, change, 3e-5 if potential.continuity >= 1 else 3e-3, "work of the forces along a path")


def linearity(potential: Potential, rng: np.random.Generator) -> None:
    """For a linear potential the design times the coefficients is the prediction.

    Remedy: design() must give derivatives of energy, forces (minus the gradient) and dE/dstrain by the coefficients.
    """
    if not potential.linear:
        return
    s = _all_kinds(potential, rng)
    graph = Graph.of(s, potential.cutoff)
    before = potential.coefficients.clone()
    try:
        zero, c = (evaluate(potential, graph) for potential.coefficients in (torch.zeros_like(before), before))
        D = potential.design(graph)
        _require(D.energy @ before, c.energy - zero.energy, 1e-9, "design of the energy times the coefficients")
        _require(D.forces @ before, c.forces - zero.forces, 1e-8, "design of the forces times the coefficients")
        P = s.periodic_projector
        stress = P @ (D.virial @ before) @ P / s.measure[:, None, None]
        known = s.pbc.any(1)
        stress = 0.5 * (stress + stress.mT)
        _require(stress[known], (c.stress - zero.stress)[known], 1e-8, "design of the virial times the coefficients")
    finally:
        potential.coefficients = before


def single_precision(potential: Potential, rng: np.random.Generator) -> None:
    """In float32 it gives what it gives in float64, to single precision.

    Remedy: a constant tensor was made without dtype, or a buffer does not follow .to(); use new_zeros and buffers.
    """
    s = _all_kinds(potential, rng)
    before, after = evaluate(potential, s), evaluate(deepcopy(potential).float(), s)
    _require(after.energies, before.energies, 2e-4, "energies in float32")
    _require(after.forces, before.forces, 2e-3, "forces in float32")


def saving(potential: Potential, rng: np.random.Generator) -> None:
    """Saved and loaded it gives the same digits.

    Remedy: what is chosen must be a constructor argument, what is learned a parameter or buffer.
    """
    from .saving import load, save

    s = _all_kinds(potential, rng)
    before = evaluate(potential, s)
    with tempfile.TemporaryDirectory() as folder:
        loaded = load(save(Path(folder) / "potential.adl", potential))
    if describe(loaded) != describe(potential):
        raise LawBroken("the loaded potential has other arguments")
    after = evaluate(loaded, s)
    _require(after.energies, before.energies, 0.0, "energies after loading")
    _require(after.forces, before.forces, 1e-13, "forces after loading")


def compilation(potential: Potential, rng: np.random.Generator) -> None:
    """Traced whole by torch.compile and by torch.export it gives the same energies.

    Remedy: no Python branches on tensor values, no .item(); what changes its shape must come from tensors.
    """
    graph = Graph.of(_all_kinds(potential, rng), potential.cutoff)
    program = _OfTensors(potential, graph)
    expected = program(*program.inputs)
    torch._dynamo.reset()
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True, capture_scalar_outputs=True):
        compiled = torch.compile(program, fullgraph=True, backend="eager", dynamic=True)
        _require(compiled(*program.inputs), expected, 1e-12, "energies of the compiled potential")
    torch._dynamo.reset()
    exported = torch.export.export(program, program.inputs, strict=False).module()
    _require(exported(*program.inputs), expected, 1e-12, "energies of the exported potential")


class _OfTensors(torch.nn.Module):
    """A potential as a function of plain tensors, which is what compilers and exporters take."""

    _FIELDS = ("i", "j", "shifts", "vectors", "first", "reverse")

    def __init__(self, potential: Potential, graph: Graph):
        super().__init__()
        self.potential, self.cutoff = potential, graph.cutoff
        structures = tuple(vars(graph.structures)[f] for f in Structures.__dataclass_fields__)
        self.inputs = structures + tuple(getattr(graph, f).detach() for f in self._FIELDS)

    def forward(self, *tensors: Tensor) -> Tensor:
        n = len(Structures.__dataclass_fields__)
        graph = Graph(Structures(*tensors[:n]), *tensors[n:], cutoff=self.cutoff)
        return self.potential(graph).energy


def fused_equals_plain(potential: Potential, rng: np.random.Generator) -> None:
    """Fused kernels give what the plain definition gives.

    Remedy: the plain torch definition is the meaning; mend the kernel.
    """
    s = _all_kinds(potential, rng)
    fused = evaluate(potential, s)
    with kernels.plain():
        plain = evaluate(potential, s)
    _require(fused.energies, plain.energies, 1e-10, "energies of the fused kernel")
    _require(fused.forces, plain.forces, 1e-9, "forces of the fused kernel")


def _finite_difference(f: Callable[[float], Tensor], h: float) -> Tensor:
    """Derivative of ``f`` at 0, to fourth order in ``h``."""
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


LAWS: dict[str, Callable[[Potential, np.random.Generator], None]] = {
    law.__name__: law
    for law in (
        rotation,
        reflection,
        permutation,
        translation,
        batching,
        extensivity,
        separation,
        longer_list,
        forces_are_derivatives,
        stress_is_derivative,
        second_derivatives,
        smoothness,
        conservation,
        linearity,
        single_precision,
        saving,
        compilation,
        fused_equals_plain,
    )
}
