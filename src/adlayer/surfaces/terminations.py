"""Where a crystal can be cut along a plane, which cuts differ, and between which of them a slab has two equal sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from .cutting import layers_of, oriented
from .symmetry import symmetries


def terminations(bulk: Atoms, miller: Sequence[int], gap: float = 0.1) -> list[int]:
    """The terminations of a plane that differ, each by the number of its top layer, as ``Slab`` counts them.

    Two are the same if a symmetry of the crystal that keeps up up turns one into the other.

    Args:
        bulk: the crystal.
        miller: indices of the plane.
        gap: a difference in height of more than this starts a new layer, Å.
    """
    images = layer_images(oriented(bulk, miller), gap)
    return [t for t, others in enumerate(images) if t == min(others)]


def symmetric_layers(cell: Atoms, layers: int, termination: int = 0, gap: float = 0.1) -> int:
    """The least number of layers, ``layers`` or more, whose slab has two sides that a symmetry turns into each other.

    Args:
        cell: from ``oriented``.
        layers: at least so many.
        termination: of the top.
        gap: between layers, Å.
    """
    images = layer_images(cell, gap, flip=True)
    if not images[termination]:
        raise ValueError("no symmetry of this crystal turns this plane over, so no slab of it has two equal sides")
    n = len(images)
    return min(layers + (bottom - termination + 1 - layers) % n for bottom in images[termination])


def layer_images(cell: Atoms, gap: float = 0.1, flip: bool = False) -> list[set[int]]:
    """For each layer of a repeat of the stacking those into which the crystal's symmetry turns it.

    Args:
        cell: from ``oriented``.
        gap: between layers, Å.
        flip: by symmetries that turn the plane over, else by those that keep up up.
    """
    layer = layers_of(cell, gap)[1]
    operations, site = symmetries(cell, tolerance=0.5 * gap)
    of_site = np.empty(site.max() + 1, dtype=int)
    of_site[site] = layer
    images: list[set[int]] = [set() for _ in range(layer.max() + 1)]
    for operation in operations:
        if operation.R[2, 2] * (-1 if flip else 1) > 0.9:
            for here, there in zip(of_site, of_site[operation.image]):
                images[here].add(int(there))
    return images
