"""A potential to first order in its parameters."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..graph import Graph
from ..potential import Design, PerAtom, Potential, evaluate, join_penalties

_STEP = 1e-5  # of differences, in units of a parameter and of the rms of those beside it


def tangent(potential: Potential) -> Potential:
    """Linear in the coefficients of a potential and in steps of its other parameters, where they are now.

    ``E(c, w + d) = E(c, w) + d · dE(c_now, w)/dw``. Of one that has no coefficients these are the steps alone, and what
    it says now is to be added.

    Args:
        potential: any; coefficients that are set of its tangent move its parameters.
    """
    return _Tangent(potential)


def steps_of(part: Potential) -> Bool[Tensor, "K"]:
    """Which of the coefficients are steps; none, of another than a tangent."""
    K = len(part.coefficients)
    return torch.arange(K) >= K - (part.n_steps if isinstance(part, _Tangent) else 0)


class _Tangent(Potential):
    def __init__(self, potential: Potential):
        super().__init__()
        self.potential, self.cutoff, self.elements = potential, potential.cutoff, potential.elements

    @property
    def local(self) -> bool:
        return self.potential.local

    def forward(self, graph: Graph) -> PerAtom:
        return self.potential(graph)

    linear = True

    @property
    def n_steps(self) -> int:
        return sum(p.numel() for p in self.potential.nonlinear())

    @property
    def coefficients(self) -> Float[Tensor, "K"]:
        """Those of the potential, and steps, which are zero."""
        steps = torch.zeros(self.n_steps, dtype=self.potential.dtype, device=self.potential.device)
        return torch.cat([self.potential.coefficients, steps]) if self.potential.linear else steps

    @coefficients.setter
    def coefficients(self, values: Float[Tensor, "K"]) -> None:
        K = len(values) - self.n_steps
        if self.potential.linear:
            self.potential.coefficients = values[:K]
        flat = torch.nn.utils.parameters_to_vector
        moved = flat(self.potential.nonlinear()).detach() + values[K:]
        torch.nn.utils.vector_to_parameters(moved, self.potential.nonlinear())

    def penalty(self) -> Float[Tensor, "K"] | Float[Tensor, "K K"]:
        ones = torch.ones(self.n_steps, dtype=self.dtype, device=self.device)
        return join_penalties([self.potential.penalty(), ones]) if self.potential.linear else ones

    def design(self, graph: Graph, forces: bool = True, virial: bool = True) -> Design:
        found = self.potential.nonlinear_design(graph, forces, virial) or differences(
            self.potential, graph, forces, virial
        )
        if not self.potential.linear:
            return found
        pairs = zip(self.potential.design(graph, forces, virial), found)
        return Design(*(None if a is None else torch.cat([a, b], -1) for a, b in pairs))


@torch.no_grad()
def differences(potential: Potential, graph: Graph, forces: bool = True, virial: bool = True) -> Design:
    """Derivatives by the parameters in ``nonlinear``, from central differences."""
    columns: list[list[Tensor | None]] = []
    volume = graph.structures.measure[:, None, None]

    def said() -> list[Tensor | None]:
        E, F, S = evaluate(potential, graph, forces=forces, stress=virial, std=False)[:3]
        return [E, F if forces else None, (S * volume).nan_to_num() if virial else None]

    for p in potential.nonlinear():
        flat = p.view(-1)
        scale = float(p.square().mean().sqrt())
        for k, here in enumerate(flat.tolist()):
            step = _STEP * max(abs(here), scale)
            ends = []
            for x in (here + step, here - step):
                flat[k] = x
                ends.append(said())
            flat[k] = here
            columns.append([None if a is None else (a - b) / (2 * step) for a, b in zip(*ends)])
    return Design(*(None if x[0] is None else torch.stack(x, -1) for x in zip(*columns)))
