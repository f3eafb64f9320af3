"""Make docs/_static/si100.png, the picture of the README, from the finished job in runs/si100 (make demo)."""

from pathlib import Path

from ase.io import read

from adlayer.report.job import doubt_picture

HERE = Path(__file__).parent

last = read(HERE.parent / "runs" / "si100" / "simulation" / "tilt" / "trajectory.extxyz", index=-1)
doubt_picture(last).savefig(HERE / "_static" / "si100.png", dpi=130)
