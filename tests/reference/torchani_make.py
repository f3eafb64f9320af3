"""Makes torchani.json: environment vectors, energies and forces as TorchANI 2.9.0 gives them, in float64.

The networks are random: their states are made here by ``weights`` from a formula, in the test by the same.

python tests/reference/torchani_make.py      # in an environment with torchani
"""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from torchani.arch import Assembler, simple_ani

torch.set_default_dtype(torch.float64)


def model(kind, symbols, members):
    """ANI-1x or ANI-2x without its weights."""
    asm = Assembler(periodic_table_index=True)
    asm.set_symbols(symbols)
    asm.set_atomic_networks(ctor=kind)
    asm.set_global_cutoff_fn("cosine")
    asm.set_aev_computer(radial=kind, angular=kind, strategy="pyaev")
    asm.set_neighborlist("all_pairs")
    asm.set_gsaes_as_self_energies("wb97x-631gd")
    return asm.assemble(members).double()


def narrow(model):
    """Networks of few nodes in place of its own, filled with numbers of a formula; hartree."""
    containers = getattr(model.potentials["nnp"].neural_networks, "members", None)
    for container in containers or [model.potentials["nnp"].neural_networks]:
        for network in container.atomics.values():
            sizes = [network.layers[0].in_features, 6, 5, 1]
            bias = network.has_biases
            made = [torch.nn.Linear(a, b, bias=bias).double() for a, b in pairwise(sizes)]
            network.layers, network.final_layer = torch.nn.ModuleList(made[:-1]), made[-1]
    state = model.state_dict()
    k = 0
    for name, x in state.items():
        if name.endswith((".weight", ".bias")):
            x.copy_(torch.sin(1.7 * torch.arange(k, k + x.numel())).reshape(x.shape) / x.shape[-1] ** 0.5)
            k += x.numel() + 3
    return model


def said(model, atoms):
    """What it says of one structure."""
    species = torch.tensor(atoms.numbers)[None]
    positions = torch.tensor(atoms.positions)[None].requires_grad_()
    periodic = atoms.pbc.all()
    cell = (torch.tensor(atoms.cell.array), torch.tensor(atoms.pbc)) if periodic else (None, None)
    elements = model.species_converter(species)
    aev = model.potentials["nnp"].aev_computer(elements, positions, *cell)
    energy = model((species, positions), *cell).energies
    forces = -torch.autograd.grad(energy.sum(), positions)[0][0]
    found = {
        "symbols": atoms.get_chemical_symbols(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell.array.tolist() if periodic else None,
        "energy": energy.item(),
        "forces": forces.tolist(),
        "aev_sums": aev[0].sum(0).detach().tolist(),
        "aev_first": aev[0, 0].detach().tolist(),
    }
    if hasattr(model.potentials["nnp"].neural_networks, "members"):
        found["members"] = model((species, positions), *cell, ensemble_values=True).energies[:, 0].tolist()
    return found


def spread(rng, symbols, size, least=0.9):
    """Atoms at random in a box, none closer than ``least``."""
    placed = []
    while len(placed) < len(symbols):
        x = rng.uniform(0, size, 3).round(4)
        if all(np.linalg.norm((x - y + size / 2) % size - size / 2) > least for y in placed):
            placed.append(x)
    return Atoms(symbols, placed)


rng = np.random.default_rng(7)
free = spread(rng, [*"HCHNOHCO"], 4.0)
periodic = spread(rng, [*"HCHNOHCOHHON"], 5.0)
periodic.set_cell([[5.4, 0, 0], [0.7, 5.6, 0], [0.2, -0.5, 5.9]])
metal = spread(rng, ["Cu"] * 8, 4.8, 1.8)
metal.set_cell([4.8, 4.8, 4.8])
periodic.pbc = metal.pbc = True

made = {}
models = {
    "ani1x": narrow(model("ani1x", ("H", "C", "N", "O"), 2)),
    "ani2x": narrow(model("ani2x", ("H", "C", "N", "O", "S", "F", "Cl"), 3)),
    "simple": narrow(simple_ani(("Cu",), "wb97x-631gd", self_energies={"Cu": -1.25}, repulsion=False).double()),
}
for name, m in models.items():
    cases = [metal] if name == "simple" else [free, periodic]
    made[name] = [said(m, atoms) for atoms in cases]
    made[name + "_state"] = {
        k: {"shape": list(x.shape)} if k.endswith((".weight", ".bias")) else x.tolist()
        for k, x in m.state_dict().items()
    }
Path(__file__).with_name("torchani.json").write_text(json.dumps(made) + "\n")
