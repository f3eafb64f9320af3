"""PaiNN: K. T. Schütt, O. T. Unke and M. Gastegger, ICML 2021, PMLR 139, 9377 (arXiv:2102.03150); equations as there.

Scalar features ``s`` and vector features ``v`` of every atom are changed by messages from its neighbors (Eqs. 7, 8) and
then by each other within the atom (Eqs. 9, 10); vectors are only ever added, scaled and multiplied with each other, so
they turn with the atoms, and energies do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from ase.data import atomic_numbers, chemical_symbols
from jaxtyping import Float
from torch import Tensor, nn

from ..graph import Graph
from ..nn.cutoffs import cosine_cutoff
from ..nn.layers import MLP, dense
from ..nn.messages import gated_messages
from ..nn.radial import gaussian_basis, sinc_basis
from ..potential import PerAtom, Potential, Species

_BASES = {"sinc": sinc_basis, "gaussian": gaussian_basis}


class PaiNN(Potential):
    """Polarizable atom interaction neural network: equivariant messages with scalar and vector features.

    Args:
        elements: chemical symbols; where not given, any up to Z = 100.
        cutoff: Å.
        features: number ``F`` of scalar and of vector features.
        blocks: how many times messages are passed.
        n_radial: number of radial functions from which the filters are made.
        basis: radial functions: ``"sinc"`` (the paper's) or ``"gaussian"`` (SchNetPack's default).
        share_filters: use the same filters in all blocks.
        epsilon: added to squared norms of vectors, which keeps their gradient finite at zero.
        activation: name of the activation function.
        scale: of the energies that the network gives, eV.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "features": 8, "blocks": 2, "n_radial": 6, "epsilon": 1e-4}

    def __init__(
        self,
        elements: Sequence[str] | None = None,
        cutoff: float = 5.0,
        features: int = 128,
        blocks: int = 3,
        n_radial: int = 20,
        basis: Literal["sinc", "gaussian"] = "sinc",
        share_filters: bool = False,
        epsilon: float = 1e-8,
        activation: str = "silu",
        scale: float = 1.0,
    ):
        super().__init__()
        F = features
        self.cutoff, self.elements = cutoff, None if elements is None else tuple(elements)
        self.reach = cutoff * blocks  # messages carry what is farther away
        self.n_radial, self.basis, self.scale = n_radial, _BASES[basis], scale
        self.species = Species(elements or chemical_symbols[1:101])
        self.embedding = nn.Embedding(len(self.species.elements), F)
        self.filters = nn.ModuleList(dense(n_radial, 3 * F) for _ in range(1 if share_filters else blocks))
        self.messages = nn.ModuleList(MLP([F, F, 3 * F], activation) for _ in range(blocks))
        self.updates = nn.ModuleList(Update(F, epsilon, activation) for _ in range(blocks))
        self.readout = MLP([F, F // 2, 1], activation)

    @classmethod
    def original(cls, **arguments: Any) -> PaiNN:
        """As published."""
        return cls(**{"basis": "sinc", **arguments})

    @classmethod
    def schnetpack(cls, **arguments: Any) -> PaiNN:
        """As SchNetPack 2 sets it up by default: Gaussians for the radial functions."""
        return cls(**{"basis": "gaussian", **arguments})

    def forward(self, graph: Graph) -> PerAtom:
        r = graph.lengths
        u = graph.vectors / r[:, None]
        # The filters W(r) = (b(r) A + c) f_c(r) are linear in basis and cutoff, which carries their biases c.
        f_c = cosine_cutoff(r, self.cutoff)[:, None]
        basis = torch.cat([self.basis(r, self.cutoff, self.n_radial) * f_c, f_c], 1)
        W = [torch.cat([w.weight.T, w.bias[None]]) for w in self.filters]
        W = W * (len(self.messages) // len(W))

        s = self.embedding(self.species(graph.numbers))  # [atoms, F]
        v = s.new_zeros(graph.n_atoms, 3, s.shape[1])
        for k, (phi, update) in enumerate(zip(self.messages, self.updates)):
            ds, dv = gated_messages(phi(s), v, basis, W[k], u, graph)  # Eqs. 7, 8
            s, v = update(s + ds, v + dv)
        return PerAtom(self.scale * self.readout(s).squeeze(-1))

    @classmethod
    def from_schnetpack(cls, state: Mapping[str, Tensor], **arguments: Any) -> PaiNN:
        """The same function as a SchNetPack 2 ``NeuralNetworkPotential`` of PaiNN and an ``Atomwise`` energy.

        Sizes are read from the weights. Offsets that SchNetPack adds in its postprocessors are not part of them: add
        them as ``ReferenceEnergies``.

        Args:
            state: its ``state_dict()``.
            arguments: what the weights do not say: ``elements``, ``epsilon`` and ``activation``, where not the default.
        """
        own = {}
        for name, x in state.items():
            for theirs, ours in _SCHNETPACK.items():
                name = name.replace(theirs, ours)
            own[name] = x
        missing = {"embedding.weight", "filter_net.weight", "cutoff_fn.cutoff", "readout.layers.1.weight"} - set(own)
        if missing:
            raise ValueError(f"this is not the state of a SchNetPack PaiNN with an energy: it has no {min(missing)}")
        if float(own.get("radial_basis.offsets", [0.0])[0]) != 0:
            raise ValueError("Gaussians that do not start at r = 0 are not implemented")
        (n_elements, F), (rows, n_radial) = own["embedding.weight"].shape, own["filter_net.weight"].shape
        blocks = 1 + max(int(name.split(".")[1]) for name in own if name.startswith("messages."))
        painn = cls(
            **{
                "cutoff": float(own["cutoff_fn.cutoff"]),
                "features": F,
                "blocks": blocks,
                "n_radial": n_radial,
                "basis": "sinc" if "radial_basis.freqs" in own else "gaussian",
                "share_filters": rows == 3 * F and blocks > 1,
                **arguments,
            }
        ).to(own["embedding.weight"])
        for part in ("weight", "bias"):
            own |= {f"filters.{k}.{part}": x for k, x in enumerate(own[f"filter_net.{part}"].split(3 * F))}
        known = {atomic_numbers[e]: k for k, e in enumerate(painn.species.elements) if atomic_numbers[e] < n_elements}
        embedding = torch.zeros_like(painn.embedding.weight)
        embedding[list(known.values())] = own["embedding.weight"][list(known)]
        own["embedding.weight"] = embedding
        painn.load_state_dict({name: own[name] for name in painn.state_dict()})
        return painn


_SCHNETPACK = {
    "representation.": "",
    "interactions.": "messages.",
    "mixing.": "updates.",
    "interatomic_context_net.": "layers.",
    "intraatomic_context_net.": "a.layers.",
    "mu_channel_mix.": "VU.",
    "output_modules.0.outnet.": "readout.layers.",
}


class Update(nn.Module):
    """Scalars and vectors of an atom change each other."""

    def __init__(self, features: int, epsilon: float, activation: str):
        super().__init__()
        self.VU = dense(features, 2 * features, bias=False)
        self.a = MLP([2 * features, features, 3 * features], activation)
        self.epsilon = epsilon

    def forward(self, s: Float[Tensor, "atoms F"], v: Float[Tensor, "atoms 3 F"]) -> tuple[Tensor, Tensor]:
        Vv, Uv = self.VU(v).chunk(2, -1)
        norm = torch.sqrt(Vv.square().sum(1) + self.epsilon)
        a_ss, a_vv, a_sv = self.a(torch.cat([s, norm], 1)).chunk(3, -1)
        s = s + a_ss + a_sv * (Uv * Vv).sum(1)  # Eq. 9
        v = v + a_vv[:, None] * Uv  # Eq. 10
        return s, v
