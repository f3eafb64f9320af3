"""Writes mtp/*.mtp and mtp.json: potentials fitted by MLIP, and the energies, forces and stress it gives.

    python tests/reference/mtp_make.py PATH

PATH is tests/data_path/fitting/crystals of a checkout of github.com/imw-md/motep (MIT license, made at eaddbf3), where
they are kept. MLIP writes energies to 1e-12, forces and stress times volume to 1e-6 and 1e-5, positions to 1e-6.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CASES = {"multi/10": 0, "cubic/16": -1}  # which frame


def frame(text: str, index: int) -> dict:
    lines = text.split("BEGIN_CFG")[1:][index].split("\n")
    at = {line.split(":")[0].strip().split()[0]: k for k, line in enumerate(lines) if line.strip()}
    n = int(lines[at["Size"] + 1])
    rows = [[float(x) for x in lines[at["AtomData"] + 1 + k].split()] for k in range(n)]
    return {
        "cell": [[float(x) for x in lines[at["Supercell"] + 1 + k].split()] for k in range(3)],
        "species": [int(r[1]) for r in rows],
        "positions": [r[2:5] for r in rows],
        "forces": [r[5:8] for r in rows],
        "energy": float(lines[at["Energy"] + 1]),
        "plus_stress": [float(x) for x in lines[at["PlusStress"] + 1].split()],  # -dE/dstrain, eV; yz, xz, xy last
    }


if __name__ == "__main__":
    found = {}
    for case, index in CASES.items():
        folder, name = Path(sys.argv[1]) / case, case.replace("/", "_")
        (HERE / "mtp" / f"{name}.mtp").write_text((folder / "pot.mtp").read_text())
        found[name] = frame((folder / "out.cfg").read_text(), index)
    (HERE / "mtp.json").write_text(json.dumps(found) + "\n")
