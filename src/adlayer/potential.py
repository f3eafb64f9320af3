"""A potential is a function from a graph to one energy per atom. Everything else is written once, against that."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
from ase.data import atomic_numbers, chemical_symbols
from jaxtyping import Float, Int
from torch import Tensor, nn

from .config import Part, build, find_class, with_elements
from .graph import Graph
from .kernels.edges import forces_from_edges, virial_from_edges
from .neighbors import NeighborList
from .structures import Structures, sum_systems
from .threads import use_threads


class PerAtom(NamedTuple):
    """What a potential says about each atom."""

    energy: Float[Tensor, "atoms"]  # eV
    charges: Float[Tensor, "atoms"] | None = None  # e
    dipoles: Float[Tensor, "atoms 3"] | None = None  # e Å, the local part


class Design(NamedTuple):
    """Derivatives of a linear potential's energy, forces and strain derivative by its coefficients."""

    energy: Float[Tensor, "systems K"]
    forces: Float[Tensor, "atoms 3 K"] | None = None
    virial: Float[Tensor, "systems 3 3 K"] | None = None  # dE/dstrain, eV


class Unexplained(NamedTuple):
    """Variances that a Gaussian process of few points cannot explain by them, whatever their weights."""

    energies: Float[Tensor, "atoms"]  # eV²
    energy: Float[Tensor, "systems"]  # eV²
    forces: Float[Tensor, "atoms 3"] | None = None  # (eV/Å)²


class Potential(Part, nn.Module, ABC):
    """The one interface of all families: a graph in, one energy per atom out.

    A family sets ``cutoff`` (Å) and, where it knows only some, ``elements``, and implements ``forward``. It never
    computes forces, loops over structures, or finds neighbors. Edges longer than ``cutoff`` may be present and must
    count for nothing.

    A potential that is linear in its parameters also gives ``coefficients`` and ``design`` and is then fitted by least
    squares.
    """

    cutoff: float
    elements: tuple[str, ...] | None = None  # None: any
    local: ClassVar[bool] = True  # energy depends on positions through graph.vectors alone
    continuity: ClassVar[int] = 1  # derivatives that are continuous at the cutoff: 0 energy, 1 forces
    any_atoms: ClassVar[bool] = True  # False: made for one list of atoms, in one order
    fitted_by: ClassVar[str | None] = None  # the one method that can fit it; None: what is usual
    trained: ClassVar[bool] = True  # its numbers come from a fit, not from the constructor alone
    small: ClassVar[dict[str, Any]] = {}  # cheap arguments: what checks, docs and examples build

    @abstractmethod
    def forward(self, graph: Graph) -> PerAtom:
        """One energy per atom."""

    def __call__(self, graph: Graph) -> PerAtom:
        if isinstance(graph, Structures):
            raise TypeError(
                f"{type(self).__name__} takes a graph; what asks about structures, such as a simulation or analysis, "
                "takes Evaluator(potential)"
            )
        return super().__call__(graph)

    def prepare(self, graphs: Iterable[Graph]) -> None:
        """Set what is learned from the structures before a fit, such as the scale of features; by default nothing."""

    def check_structures(self, structures: Structures) -> None:
        """Raise ``ValueError`` where it cannot be asked about these structures, though it knows their elements."""

    def predict(self, graph: Graph, forces: bool = True, stress: bool = True) -> Prediction | None:
        """For one that knows its own doubt, or its derivatives by a shorter way: all that ``evaluate`` gives, with
        ``std`` in the first case; None: only ``forward``.
        """
        return None

    def deviations(self, graph: Graph) -> Float[Tensor, "systems M"] | None:
        """For one made of many: how the energies deviate together, such that the std of any ``c · E`` is ``|c · D|``.

        So the doubt about a difference, such as a barrier, is known, in which most of the doubt about either energy
        cancels. eV; None: not known.
        """
        return None

    def tabulated(self, shortest: float) -> Potential | None:
        """For a family with tables or maps of its own: the same potential made faster, for distances from ``shortest``
        on (Å); itself, where it makes them when it is evaluated. Pairs and triplets need none: see ``tabulation``.
        """
        return None

    @property
    def linear(self) -> bool:
        """Whether the energy is linear in ``coefficients``, so that ``design`` can be asked for."""
        return False

    @property
    def coefficients(self) -> Float[Tensor, "K"]:
        """The parameters in which a linear potential is linear; assigning to it sets them."""
        raise TypeError(f"{type(self).__name__} is not linear in its parameters; fit it by gradient descent")

    def design(self, graph: Graph, forces: bool = True, virial: bool = True) -> Design:
        """Derivatives by the coefficients; energy, forces and virial are the products with them."""
        raise TypeError(f"{type(self).__name__} is not linear in its parameters; fit it by gradient descent")

    def nonlinear(self) -> list[nn.Parameter]:
        """The trainable parameters that are not among ``coefficients``."""
        return [] if self.linear else [p for p in self.parameters() if p.requires_grad]

    def nonlinear_design(self, graph: Graph, forces: bool = True, virial: bool = True) -> Design | None:
        """Derivatives by the numbers in ``nonlinear``, as they are; None: they are found by differences."""
        return None

    def projections(self, graph: Graph) -> Float[Tensor, "atoms K"]:
        """What the energy of each atom is built of: the rows of the design of single atoms."""
        return self.design(each_atom_a_system(graph), forces=False, virial=False).energy

    def penalty(self) -> Float[Tensor, "K"] | Float[Tensor, "K K"]:
        """Relative prior weight of each coefficient: 1 for all, or rising with roughness (a smoothness prior).

        Or the matrix of a quadratic form, as for the second differences of the coefficients of a spline.
        """
        return torch.ones_like(self.coefficients)

    def covariances(self) -> Int[Tensor, "K"] | None:
        """For a Gaussian process: which of its covariances each coefficient belongs to; their prior is ``N(0, 1)``."""
        return None

    def rescale(self, factors: Float[Tensor, "covariances"]) -> None:
        """Of a Gaussian process: multiply the standard deviation of each covariance; coefficients stay as they are."""
        raise TypeError(f"{type(self).__name__} is no Gaussian process")

    def unexplained(self, graph: Graph, forces: bool = False) -> Unexplained | None:
        """For a Gaussian process: variances that no choice of coefficients can take away."""
        return None

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type it computes in."""
        for x in (*self.parameters(), *self.buffers()):
            if x.is_floating_point():
                return x.dtype
        return torch.float64

    @property
    def device(self) -> torch.device:
        for x in (*self.parameters(), *self.buffers()):
            return x.device
        return torch.device("cpu")

    def __add__(self, other: Potential) -> Sum:
        parts = [*self.parts] if isinstance(self, Sum) else [self]
        parts += [*other.parts] if isinstance(other, Sum) else [other]
        return Sum(parts)


class Sum(Potential):
    """The sum of several potentials: ``ZBL() + ACE() + ...``.

    Args:
        parts: the potentials that are added.
    """

    def __init__(self, parts: list):
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.cutoff = max(p.cutoff for p in parts)
        known = [p.elements for p in parts if p.elements is not None]
        self.elements = tuple(e for e in known[0] if all(e in k for k in known)) if known else None

    @property
    def local(self) -> bool:
        return all(p.local for p in self.parts)

    @property
    def any_atoms(self) -> bool:
        return all(p.any_atoms for p in self.parts)

    def check_structures(self, structures: Structures) -> None:
        for p in self.parts:
            p.check_structures(structures)

    @property
    def dtype(self) -> torch.dtype:
        """The widest of the parts'; each part computes in its own."""
        return max((p.dtype for p in self.parts), key=lambda d: torch.finfo(d).bits)

    @property
    def trained(self) -> bool:
        return any(p.trained for p in self.parts)

    def forward(self, graph: Graph) -> PerAtom:
        said = [p(_in_dtype(graph.within(p.cutoff), p.dtype)) for p in self.parts]

        def add(terms: list) -> Tensor | None:
            terms = [t for t in terms if t is not None]
            return sum(terms[1:], terms[0]) if terms else None

        return PerAtom(*(add([s[k] for s in said]) for k in range(len(PerAtom._fields))))

    def prepare(self, graphs: Iterable[Graph]) -> None:
        graphs = list(graphs)
        for p in self.parts:
            p.prepare([g.within(p.cutoff) for g in graphs])

    @property
    def linear(self) -> bool:
        return any(p.linear for p in self.parts)

    @property
    def coefficients(self) -> Float[Tensor, "K"]:
        """Those of the linear parts, one after another; the other parts are held fixed."""
        return torch.cat([p.coefficients for p in self.parts if p.linear])

    @coefficients.setter
    def coefficients(self, values: Float[Tensor, "K"]) -> None:
        start = 0
        for p in self.parts:
            if p.linear:
                n = len(p.coefficients)
                p.coefficients = values[start : start + n]
                start += n

    def design(self, graph: Graph, forces: bool = True, virial: bool = True) -> Design:
        parts = [p.design(graph.within(p.cutoff), forces, virial) for p in self.parts if p.linear]
        return Design(*(torch.cat(xs, dim=-1) if xs[0] is not None else None for xs in zip(*parts)))

    def penalty(self) -> Float[Tensor, "K"] | Float[Tensor, "K K"]:
        return join_penalties([p.penalty() for p in self.parts if p.linear])

    def unexplained(self, graph: Graph, forces: bool = False) -> Unexplained | None:
        found = [x for p in self.parts if (x := p.unexplained(graph.within(p.cutoff), forces)) is not None]
        return Unexplained(*(sum(xs) if xs[0] is not None else None for xs in zip(*found))) if found else None


def join_penalties(penalties: list[Tensor]) -> Float[Tensor, "K"] | Float[Tensor, "K K"]:
    """Those of several potentials beside each other: a matrix where any of them is one."""
    if all(x.ndim == 1 for x in penalties):
        return torch.cat(penalties)
    return torch.block_diag(*(torch.diag(x) if x.ndim == 1 else x for x in penalties))


def make_potential(spec: Potential | Mapping[str, Any] | str, elements: Iterable[str]) -> Potential:
    """The potential a section of a recipe describes: one class name with its arguments, or several, which are added.

    Args:
        spec: ``{ClassName: {arguments}, ...}``.
        elements: what stands in for an argument ``elements`` that is not given, that of a descriptor inside as well;
            taken by atomic number.
    """
    if isinstance(spec, Potential):
        return spec
    table = {spec: {}} if isinstance(spec, str) else dict(spec)
    if not table:
        raise ValueError("[potential] is empty; name one, such as [potential.ACE]")
    known = sorted(elements, key=lambda e: atomic_numbers[e])
    parts = []
    for name, arguments in table.items():
        wanted = inspect.signature(find_class(name, None if "." in name else Potential)).parameters
        if "elements" in wanted and (
            arguments is True or (isinstance(arguments, Mapping) and "elements" not in arguments)
        ):
            arguments = {"elements": known, **({} if arguments is True else arguments)}
        inner = arguments.get("elements", known) if isinstance(arguments, Mapping) else known
        parts.append(build({name: with_elements(arguments, inner)}, Potential))
    return parts[0] if len(parts) == 1 else Sum(parts)


class ReferenceEnergies(Potential):
    """One energy per atom of each element: ``E_i = E0(Z_i)``, the zero from which a potential counts.

    Args:
        energies: eV per atom of each element, by symbol.
    """

    trained = False
    small = {"energies": {"Si": -1.5, "H": -0.25, "Cu": -3.5, "O": -2.0}}

    def __init__(self, energies: dict[str, float]):
        super().__init__()
        self.cutoff = 0.0
        self.elements = tuple(energies)
        self.species = Species(self.elements)
        self.energies = nn.Parameter(torch.tensor([float(e) for e in energies.values()], dtype=torch.float64))

    def forward(self, graph: Graph) -> PerAtom:
        return PerAtom(self.energies[self.species(graph.numbers)])

    linear = True

    @property
    def coefficients(self) -> Float[Tensor, "elements"]:
        return self.energies.detach()

    @coefficients.setter
    def coefficients(self, values: Float[Tensor, "elements"]) -> None:
        self.energies.data.copy_(values)

    def design(self, graph: Graph, forces: bool = True, virial: bool = True) -> Design:
        count = nn.functional.one_hot(self.species(graph.numbers), len(self.elements)).to(self.dtype)
        K = len(self.elements)
        return Design(
            sum_systems(count, graph.structures),
            count.new_zeros(graph.n_atoms, 3, K) if forces else None,
            count.new_zeros(graph.n_systems, 3, 3, K) if virial else None,
        )


class Species(nn.Module):
    """From atomic numbers to places in a list of elements.

    Args:
        elements: chemical symbols.
    """

    def __init__(self, elements: Iterable[str]):
        super().__init__()
        self.elements = tuple(elements)
        place = torch.full((len(chemical_symbols) + 1,), -1)
        for k, symbol in enumerate(self.elements):
            if symbol not in atomic_numbers:
                raise ValueError(f"{symbol!r} is not a chemical symbol")
            place[atomic_numbers[symbol]] = k
        self.register_buffer("place", place, persistent=False)

    def forward(self, numbers: Tensor) -> Tensor:
        return self.place[numbers]


class Prediction(NamedTuple):
    """A prediction, a label and a reference result are one type. None, or NaN within a batch, is "not known".

    Stress is tension-positive and refers to the periodic directions alone: eV/Å³ in bulk, eV/Å² for a slab (per area),
    eV/Å for a wire; NaN for a cluster, which has none.
    """

    energy: Float[Tensor, "systems"] | None = None  # eV, total
    forces: Float[Tensor, "atoms 3"] | None = None  # eV/Å
    stress: Float[Tensor, "systems 3 3"] | None = None
    energies: Float[Tensor, "atoms"] | None = None  # eV, per atom
    charges: Float[Tensor, "atoms"] | None = None  # e
    dipole: Float[Tensor, "systems 3"] | None = None  # e Å
    std: Prediction | None = None  # standard deviations of the same quantities

    def map(self, per_system: Callable, per_atom: Callable) -> Prediction:
        """Apply one function to what belongs to structures and another to what belongs to atoms."""
        kind = {"forces": per_atom, "energies": per_atom, "charges": per_atom}
        values = {}
        for name, x in self._asdict().items():
            if name == "std":
                values[name] = None if x is None else x.map(per_system, per_atom)
            else:
                values[name] = None if x is None else kind.get(name, per_system)(x)
        return Prediction(**values)

    def detach(self) -> Prediction:
        return self.map(Tensor.detach, Tensor.detach)

    def select(self, structures: Structures, index) -> Prediction:
        """What belongs to ``structures[index]``."""
        chosen = torch.arange(structures.n_systems)[[index] if isinstance(index, int) else index]
        offsets = structures.offsets.tolist()
        atoms = torch.cat([torch.arange(offsets[s], offsets[s + 1]) for s in chosen.tolist()] or [torch.arange(0)])
        return self.map(lambda x: x[chosen], lambda x: x[atoms])

    @staticmethod
    def cat(parts: Iterable[tuple[Structures, Prediction]]) -> Prediction:
        """Put the results of several batches one after another; what only some know becomes NaN for the others."""
        parts = list(parts)
        shapes = {"energy": (), "forces": (3,), "stress": (3, 3), "energies": (), "charges": (), "dipole": (3,)}
        atomwise = {"forces", "energies", "charges"}
        values: dict[str, Any] = {}
        for name, shape in shapes.items():
            if all(getattr(p, name) is None for _, p in parts):
                continue
            values[name] = torch.cat(
                [
                    s.positions.new_full((s.n_atoms if name in atomwise else s.n_systems, *shape), torch.nan)
                    if (x := getattr(p, name)) is None
                    else x
                    for s, p in parts
                ]
            )
        if any(p.std is not None for _, p in parts):
            values["std"] = Prediction.cat((s, p.std or Prediction()) for s, p in parts)
        return Prediction(**values)


Evaluate = Callable[[Structures], Prediction]
"""A potential with its neighbor list, an ensemble, an ASE calculator, a reference method: what simulations take."""


def evaluate(
    potential: Potential,
    structures: Structures | Graph,
    *,
    forces: bool = True,
    stress: bool = True,
    create_graph: bool = False,
    std: bool = True,
) -> Prediction:
    """Energy, forces and stress of every structure: the only place that differentiates a potential.

    Args:
        potential: any potential.
        structures: structures, whose neighbors are then searched, or a graph that already holds them.
        forces: whether to give forces (eV/Å).
        stress: whether to give stress (tension-positive; per volume, area or length of the periodic directions).
        create_graph: keep the result differentiable, for fitting.
        std: whether a potential that knows its own doubt is asked for it.
    """
    if isinstance(structures, Graph):
        graph = structures
        use_threads(graph.n_atoms)
    else:
        check_elements(potential, structures)
        graph = Graph.of(structures, potential.cutoff)
    if std and not create_graph and (own := potential.predict(graph, forces, stress)) is not None:
        return own
    differentiate = _along_edges if potential.local else _along_positions
    if not (forces or stress):
        with torch.set_grad_enabled(create_graph):
            said, F, W = potential(_in_dtype(graph, potential.dtype)), None, None
    else:
        said, F, W = differentiate(potential, graph, create_graph, stress)
    prediction = gather(graph.structures, said, F if forces else None, W if stress else None)
    return prediction if create_graph else prediction.detach()


def _along_edges(potential: Potential, graph: Graph, create_graph: bool, stress: bool):
    """For a local potential: through the vectors of the edges."""
    graph = _in_dtype(graph, potential.dtype)
    with torch.enable_grad():
        vectors = graph.vectors.detach().requires_grad_()
        said = potential(graph.with_vectors(vectors))
        g = _gradient(said.energy, [vectors], create_graph)[0]
    forces = forces_from_edges(g, graph)
    if not create_graph:
        vectors = vectors.detach()
    return said, forces, virial_from_edges(vectors, g, graph) if stress else None


def _along_positions(potential: Potential, graph: Graph, create_graph: bool, stress: bool):
    """For a potential that sees positions and cells themselves: through them and a strain of everything."""
    graph = _in_dtype(graph, potential.dtype)
    old = graph.structures
    with torch.enable_grad():
        positions = old.positions.detach().requires_grad_()
        strain = old.cell.new_zeros(old.n_systems, 3, 3).requires_grad_()
        F = torch.eye(3, dtype=strain.dtype, device=strain.device) + strain
        strained = replace(old, positions=(positions[:, None, :] @ F[old.system])[:, 0, :], cell=old.cell.detach() @ F)
        said = potential(graph.of_structures(strained))
        dE_dr, virial = _gradient(said.energy, [positions, strain], create_graph)
    return said, -dE_dr, virial


def _gradient(energy: Tensor, leaves: list[Tensor], create_graph: bool) -> list[Tensor]:
    if not energy.requires_grad:
        return [torch.zeros_like(x) for x in leaves]
    found = torch.autograd.grad(energy.sum(), leaves, create_graph=create_graph, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, leaves)]


def _in_dtype(graph: Graph, dtype: torch.dtype) -> Graph:
    return graph if graph.vectors.dtype == dtype else graph.to(dtype)


def gather(structures: Structures, said: PerAtom, forces: Tensor | None, virial: Tensor | None) -> Prediction:
    """A prediction from energies of the atoms, forces, and the derivative of the energy by a strain, eV."""
    stress = dipole = None
    if virial is not None:
        P = structures.periodic_projector.to(virial.dtype)
        W = P @ (0.5 * (virial + virial.mT)) @ P
        stress = W / structures.measure.to(W.dtype)[:, None, None]
        stress = torch.where(structures.pbc.any(1)[:, None, None], stress, torch.full_like(stress, torch.nan))
    if said.charges is not None or said.dipoles is not None:
        dipole = torch.zeros_like(structures.positions) if said.dipoles is None else said.dipoles
        if said.charges is not None:
            dipole = dipole + said.charges[:, None] * structures.positions
        dipole = sum_systems(dipole, structures)
    energy = sum_systems(said.energy.double(), structures)
    return Prediction(energy, forces, stress, said.energy, said.charges, dipole)


def each_atom_a_system(graph: Graph) -> Graph:
    """The same edges with every atom a structure of its own, so that energy rows are those of single atoms.

    Only for energies: what edges do to atoms of other structures is not for a design to expect.
    """
    s, n = graph.structures, graph.n_atoms
    of = s.system
    alone = torch.arange(n, device=s.device)
    return replace(
        graph,
        structures=Structures(s.numbers, s.positions, s.cell[of], s.pbc[of], alone, s.charge[of], s.spin[of]),
    )


def check_elements(potential: Potential, structures: Structures) -> None:
    """Raise ``ValueError`` where structures hold an element that the potential does not know, or are not for it."""
    potential.check_structures(structures)
    if potential.elements is None:
        return
    present = {chemical_symbols[z] for z in structures.numbers.unique().tolist()}
    if unknown := sorted(present - set(potential.elements)):
        known = ", ".join(potential.elements)
        raise ValueError(f"{type(potential).__name__} knows {known}; the structures also hold {', '.join(unknown)}")


class Evaluator:
    """A potential as an ``Evaluate``: keeps the neighbor list between calls and searches only when an atom has moved.

    Args:
        potential: any potential.
        skin: how much farther than the cutoff pairs are searched, Å.
        forces: whether to give forces.
        stress: whether to give stress.
        std: whether a potential that knows its own doubt is asked for it.
    """

    def __init__(
        self, potential: Potential, skin: float = 0.5, forces: bool = True, stress: bool = True, std: bool = True
    ):
        self.potential, self.forces, self.stress, self.std = potential, forces, stress, std
        self.neighbors = NeighborList(potential.cutoff, skin)
        self._numbers: Tensor | None = None

    def deviations(self, structures: Structures) -> Float[Tensor, "systems M"] | None:
        """How the energies deviate together, where the potential knows it; see ``Potential``."""
        return self.potential.deviations(Graph.of(structures, self.potential.cutoff))

    def __call__(self, structures: Structures) -> Prediction:
        if self._numbers is None or not torch.equal(self._numbers, structures.numbers):
            check_elements(self.potential, structures)
            self._numbers = structures.numbers.clone()
        graph = Graph.of(structures, self.potential.cutoff, self.neighbors)
        return evaluate(self.potential, graph, forces=self.forces, stress=self.stress, std=self.std)
