r"""What a descriptor cannot see: different environments that few-body correlations cannot tell apart.

S. N. Pozdnyakov et al., Phys. Rev. Lett. 125, 166001 (2020).

Two environments of one element, equal in all

- ``pairs``: two neighbors at one distance, under different angles;
- ``triplets``: ``A = (a, 0, z_a)``, ``B`` and ``B'`` opposite to each other about the z axis, and ``C = (0, ±c, z_c)``:
  the half turn about z brings ``C`` from one side to the other and exchanges the ``B``, and ``A`` does not see which
  side ``C`` is on (their construction, with all radii, heights and the angle of ``B`` free);
- ``quadruplets``: three neighbors on a circle, the same turned about the axis by an angle on the mirrored circle, and
  one on the axis, at one end or the other. The mirror exchanges the circles, and as all six are at one distance, what
  one of either circle and the end of the axis make occurs as often from both ends.

What sums over the center and one, two, three neighbors (two-, three-, four-body descriptors) cannot tell them apart,
whatever its radial functions; sums over one more neighbor can.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from math import pi
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..descriptor import Descriptor
from ..graph import Graph
from ..potential import Potential
from ..structures import Structures

KINDS = ("pairs", "triplets", "quadruplets")
BLIND = 1e-10  # of the change that a displacement by a twentieth makes: below, it is rounding


class Completeness(NamedTuple):
    """What something can tell apart.

    Args:
        name: of what was asked.
        contrast: by kind of degenerate environments, how different they look, in units of the change when each neighbor
            moves by a twentieth of its distance; of several pairs the least. Rounding is 1e-14 or so.
    """

    name: str
    contrast: dict[str, float]

    @property
    def fails(self) -> tuple[str, ...]:
        """The kinds that it cannot tell apart."""
        return tuple(kind for kind, x in self.contrast.items() if not x > BLIND)

    @property
    def body_order(self) -> int:
        """How many atoms it sees at once, as far as these environments show; 5: at least five."""
        return 2 + next((k for k, kind in enumerate(KINDS) if kind in self.fails), len(KINDS))


def degenerate_pair(kind: str, rng: np.random.Generator) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Neighbors in two different environments that are degenerate; the farthest are at distance 1.

    Args:
        kind: pairs, triplets or quadruplets: what is equal in both.
        rng: draws lengths and angles.
    """
    if kind not in KINDS:
        raise ValueError(f"degenerate environments are one of {', '.join(KINDS)}, got {kind!r}")
    if kind == "pairs":
        narrow, wide = rng.uniform(0.3, 0.45) * pi, rng.uniform(0.6, 0.9) * pi
        one, other = ([[1, 0, 0], [np.cos(x), np.sin(x), 0]] for x in (narrow, wide))
    elif kind == "triplets":
        (a, b, c), z, phi = rng.uniform(0.6, 1.0, 3), rng.uniform(-0.8, 0.8, 3), rng.uniform(0.15, 0.35) * pi
        x, y = b * np.cos(phi), b * np.sin(phi)
        one, other = ([[a, 0, z[0]], [x, y, z[1]], [-x, -y, z[1]], [0, side * c, z[2]]] for side in (1, -1))
    else:
        angles = np.cumsum(rng.uniform(0.4, 0.75, 3)) * pi  # of the rest of the circle the last gap is the widest
        height, turn, end = rng.uniform(0.3, 0.6), rng.uniform(0.08, 0.15) * pi, rng.uniform(0.8, 1.1)
        circles = [[np.cos(x), np.sin(x), height] for x in angles]
        circles += [[np.cos(x), np.sin(x), -height] for x in angles + turn]
        one, other = ([*circles, [0, 0, side * end]] for side in (1, -1))
    size = np.linalg.norm(one, axis=1).max()
    return np.array(one, float) / size, np.array(other, float) / size


def completeness(
    thing: Descriptor | Potential, size: float = 0.55, members: int = 4, seed: int = 0, name: str = ""
) -> Completeness:
    """Which degenerate environments something can tell apart.

    A descriptor is judged by its features, a potential by energies of the central atom that sees nothing but its own
    neighbors: for one that is linear with a few random coefficients, for others as it is.

    Args:
        thing: a descriptor or a potential; of its elements the first is that of all atoms.
        size: distance of the farthest neighbor, over the cutoff.
        members: how many pairs of each kind, whose lengths and angles are drawn.
        seed: of these.
        name: by which it is listed; that of its class if not given.
    """
    rng, found = np.random.default_rng(seed), {}
    for kind in KINDS:
        contrasts = []
        for _ in range(members):
            one, other = (size * thing.cutoff * x for x in degenerate_pair(kind, rng))
            moved = one + 0.05 * np.linalg.norm(one, axis=1, keepdims=True) * _unit(rng, len(one))
            x = _seen(thing, [one, other, moved])
            contrasts.append(float((x[0] - x[1]).norm() / (x[0] - x[2]).norm().clamp_min(1e-300)))
        found[kind] = min(contrasts)
    return Completeness(name or type(thing).__name__, found)


def _unit(rng: np.random.Generator, n: int) -> Float[np.ndarray, "n 3"]:
    v = rng.standard_normal((n, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


@torch.no_grad()
def _seen(thing: Descriptor | Potential, environments: Sequence[np.ndarray]) -> Float[Tensor, "environments F"]:
    """What is seen of the central atom of each environment."""
    from ase import Atoms

    element = (thing.elements or ("C",))[0]
    frames = [Atoms([element] * (1 + len(x)), np.vstack([np.zeros(3), x])) for x in environments]
    graph = Graph.of(Structures.from_ase(frames), thing.cutoff)
    centers = graph.structures.offsets[:-1]
    thing = deepcopy(thing).double()
    if isinstance(thing, Descriptor):
        return thing(graph)[centers]
    is_center = torch.zeros(graph.n_atoms, dtype=torch.bool).index_fill(0, centers, True)
    star = graph.only(is_center[graph.i] | is_center[graph.j])
    if not thing.linear:
        return thing(star).energy[centers][:, None]
    generator, columns = torch.Generator().manual_seed(0), []
    for _ in range(4):
        thing.coefficients = torch.randn(thing.coefficients.shape, generator=generator, dtype=torch.float64)
        columns.append(thing(star).energy[centers])
    return torch.stack(columns, 1)
