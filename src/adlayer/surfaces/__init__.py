"""What people study, from a formula or a file: bulk, slabs, reconstructions, and disorder on all of them."""

from .bulk import Bulk, Strained
from .changes import Rattle, Repeat
from .dimers import Dimers
from .generator import Generator, Given
from .slab import Slab, slab

__all__ = ["Bulk", "Dimers", "Generator", "Given", "Rattle", "Repeat", "Slab", "Strained", "slab"]
