"""Makes schnetpack_painn.npz: energies and forces of SchNetPack's PaiNN with random weights, in float64.

Needs schnetpack (2.1.1 made the file); run from this folder.
"""

import numpy as np
import schnetpack as spk
import torch
from ase.build import bulk, fcc111, molecule
from ase.neighborlist import neighbor_list
from schnetpack import properties

CUTOFF, FEATURES, BLOCKS, N_RADIAL = 4.5, 8, 2, 6


def structures():
    """A cell smaller than the cutoff, a slab, a molecule with hydrogen, and a lone atom."""
    slab = fcc111("Cu", (2, 2, 2), vacuum=5.0)
    slab.pbc = (True, True, False)
    lone = molecule("H2O")[:1]
    frames = [bulk("NaCl", "rocksalt", a=5.6) * (1, 1, 1), slab, molecule("CH3OH"), lone]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.1, seed=seed)
    return frames


def model(basis, share_filters):
    torch.manual_seed(1)
    painn = spk.representation.PaiNN(
        n_atom_basis=FEATURES,
        n_interactions=BLOCKS,
        radial_basis=basis(n_rbf=N_RADIAL, cutoff=CUTOFF),
        cutoff_fn=spk.nn.CosineCutoff(CUTOFF),
        shared_filters=share_filters,
    )
    network = spk.model.NeuralNetworkPotential(
        representation=painn,
        input_modules=[spk.atomistic.PairwiseDistances()],
        output_modules=[
            spk.atomistic.Atomwise(n_in=FEATURES, output_key="energy"),
            spk.atomistic.Forces(energy_key="energy", force_key="forces"),
        ],
    )
    for x in network.parameters():  # biases start at zero, where their mistakes would not be seen
        x.data += 0.1 * torch.randn_like(x)
    network = network.double()  # but constants were made in float32
    if hasattr(painn.radial_basis, "freqs"):
        painn.radial_basis.freqs = torch.arange(1, N_RADIAL + 1, dtype=torch.float64) * torch.pi / CUTOFF
    else:
        painn.radial_basis.offsets = torch.linspace(0, CUTOFF, N_RADIAL, dtype=torch.float64)
        painn.radial_basis.widths = torch.full_like(painn.radial_basis.offsets, CUTOFF / (N_RADIAL - 1))
    return network


def evaluate(network, atoms):
    i, j, S = neighbor_list("ijS", atoms, CUTOFF)
    out = network(
        {
            properties.Z: torch.tensor(atoms.numbers),
            properties.R: torch.tensor(atoms.positions),
            properties.idx_i: torch.tensor(i),
            properties.idx_j: torch.tensor(j),
            properties.offsets: torch.tensor(S @ np.asarray(atoms.cell)),
            properties.idx_m: torch.zeros(len(atoms), dtype=torch.long),
            properties.n_atoms: torch.tensor([len(atoms)]),
            properties.cell: torch.tensor(np.asarray(atoms.cell))[None],
        }
    )
    return float(out["energy"].detach()), out["forces"].detach().numpy()


frames = structures()
data = {"sizes": np.array([CUTOFF, FEATURES, BLOCKS, N_RADIAL]), "frames": np.array(len(frames))}
for k, atoms in enumerate(frames):
    data |= {f"{k}.numbers": atoms.numbers, f"{k}.positions": atoms.positions}
    data |= {f"{k}.cell": np.asarray(atoms.cell), f"{k}.pbc": atoms.pbc}
for name, basis, share_filters in (
    ("gaussian", spk.nn.GaussianRBF, False),
    ("sinc", spk.nn.BesselRBF, False),
    ("shared", spk.nn.GaussianRBF, True),
):
    torch.set_default_dtype(torch.float32)
    network = model(basis, share_filters)
    torch.set_default_dtype(torch.float64)
    data |= {f"{name}.state.{key}": x.numpy() for key, x in network.state_dict().items()}
    for k, atoms in enumerate(frames):
        data[f"{name}.{k}.energy"], data[f"{name}.{k}.forces"] = evaluate(network, atoms)
np.savez_compressed("schnetpack_painn.npz", **data)
