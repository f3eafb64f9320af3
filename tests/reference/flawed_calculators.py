"""Calculators that fail in the ways real ones do; worker processes import them by dotted name."""

import os
import time

import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class Flawed(Calculator):
    """A harmonic well at the origin; misbehaves when the first atom is farther than 1 Å from it along x."""

    implemented_properties = ["energy", "forces"]

    def __init__(self, how="raise", patience=1.0, counter=None, **kwargs):
        super().__init__(**kwargs)
        self.how, self.patience, self.counter = how, patience, counter

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if self.counter:
            with open(self.counter, "a") as file:
                file.write("x")
        if atoms.positions[0, 0] > self.patience:
            if self.how == "raise":
                raise RuntimeError("SCF did not converge")
            if self.how == "hang":
                time.sleep(3600)
            if self.how == "crash":
                print("about to crash")
                os._exit(3)
            if self.how == "nan":
                self.results = {"energy": float("nan"), "forces": np.zeros((len(atoms), 3))}
                return
        time.sleep(0.02)
        self.results = {"energy": 0.5 * float((atoms.positions**2).sum()), "forces": -atoms.positions.copy()}
