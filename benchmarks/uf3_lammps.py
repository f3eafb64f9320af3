"""UF3 against LAMMPS, side by side: CPU time per atom of energy and forces, in one process and on one thread each.

Invented splines, written for ``pair_style uf3``; the rest as in ``snap_lammps.py``.

    python benchmarks/uf3_lammps.py [atoms ...]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from snap_lammps import HEAD, row

from adlayer.formats import uf3
from adlayer.potentials.uf3 import UF3


def main(sizes: list[int]) -> None:
    """Print a table."""
    print(HEAD)
    for name, cutoff_3 in (("pairs", 0.0), ("pairs and triplets, 4.2 Å", 4.2), ("pairs and triplets, 5.5 Å", 5.5)):
        made = UF3(["Cu"], 6.0, cutoff_3)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.uf3"
            uf3.write(path, made)
            for n in sizes:
                row(name, made, [f"pair_style uf3 {3 if cutoff_3 else 2}", f"pair_coeff * * {path} Cu"], n)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main([int(n) for n in sys.argv[1:]] or [512, 4096])
