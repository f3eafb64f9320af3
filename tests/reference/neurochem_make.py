"""Makes neurochem/, an ensemble of two small networks in NeuroChem's files, and what TorchANI 2.9.0 says with it.

Weights are numbers of a formula; constants are like those of ANI-1x, fewer.

python tests/reference/neurochem_make.py      # in an environment with torchani
"""

import bz2
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torchani.neurochem as neurochem
from ase.build import molecule

HERE = Path(__file__).parent
FOLDER = HERE / "neurochem"
ELEMENTS = ["H", "C", "O"]
CONSTANTS = """TM = 1
Rcr = 5.2000e+00
Rca = 3.5000e+00
EtaR = [1.6000000e+01]
ShfR = [9.0000000e-01,1.9750000e+00,3.0500000e+00]
Zeta = [3.2000000e+01]
ShfZ = [7.8539816e-01,2.3561945e+00]
EtaA = [8.0000000e+00]
ShfA = [9.0000000e-01,2.2000000e+00]
Atyp = [H,C,O]
"""
SIZES = {"H": [33, 6, 5, 1], "C": [33, 5, 4, 1], "O": [33, 5, 1]}


def write_network(folder, element, sizes, shift):
    lines = [f"inputsize={sizes[0]};", f"atom_net {element} $"]
    for k, (n_in, n_out) in enumerate(pairwise(sizes)):
        name = f"ANN-{element}.nnf-l{k + 1}"
        W = np.sin(1.7 * np.arange(n_in * n_out) + shift + k) / n_in**0.5
        b = np.cos(0.9 * np.arange(n_out) + shift)
        W.astype("<f4").tofile(folder / f"{name}.wparam")
        b.astype("<f4").tofile(folder / f"{name}.bparam")
        numbers = {"nodes": n_out, "activation": 6 if k == len(sizes) - 2 else 9, "type": 0, "blocksize": n_in}
        rest = {"dropout": 0, "dropset": 0.0, "maskupdate": 0.0, "maxnorm": 0, "norm": 0.0, "normupdate": 0.0}
        last = {"l2norm": 1, "l2valu": 0.0001, "btchnorm": 0}
        lines += ["layer [", *(f"{key}={x};" for key, x in (numbers | rest | last).items())]
        lines += [f"weights=FILE:{name}.wparam[{W.size}];", f"biases=FILE:{name}.bparam[{b.size}];", "]"]
    text = bz2.compress(("\n".join(lines) + "\n\n $ ").encode())
    (folder / f"ANN-{element}.nnf").write_bytes(f"{len(text)}=\n".encode() + text)


def main():
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "small.params").write_text(CONSTANTS)
    (FOLDER / "sae_linfit.dat").write_text("H,0=-0.6\nC,1=-38.08\nO,2=-75.19\n")
    for m in range(2):
        folder = FOLDER / f"train{m}" / "networks"
        folder.mkdir(parents=True, exist_ok=True)
        for k, e in enumerate(ELEMENTS):
            write_network(folder, e, SIZES[e], 2.0 * k + 0.3 * m)
    aev, symbols = neurochem.load_aev_computer_and_symbols(FOLDER / "small.params")
    aev = aev.double()
    members = [neurochem.load_member(symbols, FOLDER / f"train{m}/networks").double() for m in range(2)]
    said = []
    for name, seed in (("CH3CH2OH", 1), ("H2CO", 2)):
        atoms = molecule(name)
        atoms.positions += np.random.default_rng(seed).normal(0, 0.08, atoms.positions.shape)
        atoms.positions = atoms.positions.round(4)
        x = torch.tensor(atoms.positions)[None].requires_grad_()
        species = torch.tensor([[ELEMENTS.index(e) for e in atoms.symbols]])
        energies = [member(species, aev(species, x)).sum() for member in members]
        forces = -torch.autograd.grad(sum(energies) / len(members), x)[0][0]
        said.append(
            {
                "symbols": list(atoms.symbols),
                "positions": atoms.positions.tolist(),
                "without_self_energies": [e.item() for e in energies],
                "forces": forces.tolist(),
            }
        )
    (HERE / "neurochem.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    main()
