"""Make docs/_static/si100.png, the picture of the README, from the finished job in runs/si100 (make demo)."""

from pathlib import Path

import numpy as np
from ase.io import read

from adlayer.report.picture import picture

HERE = Path(__file__).parent

last = read(HERE.parent / "runs" / "si100" / "simulation" / "tilt" / "trajectory.extxyz", index=-1)
doubt = 1000 * np.linalg.norm(last.arrays["forces_std"], axis=1)
picture(last, doubt, "force uncertainty (meV/Å)").savefig(HERE / "_static" / "si100.png", dpi=130)
