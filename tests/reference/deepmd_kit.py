"""Models with random weights, and what DeePMD-kit 3.2.0 (its PyTorch backend) says of them; needs deepmd-kit and torch.

python deepmd_kit.py [deeppot_dpa.yaml]: writes deepmd_NAME.yaml, the serialized model with a list of results, and
deepmd_dpa.json, the results for the model of DeePMD-kit's own tests.
"""

import json
import sys

import numpy as np
import torch
import yaml
from deepmd.dpmodel.utils.serialization import load_dp_model, save_dp_model
from deepmd.pt.model.model import BaseModel, get_model

A = {"type": "se_e2_a", "sel": [4, 6], "rcut": 6.0, "rcut_smth": 0.5, "neuron": [3, 6], "axis_neuron": 2, "seed": 1}
R = {"type": "se_e2_r", "sel": [4, 6], "rcut": 5.0, "rcut_smth": 1.0, "neuron": [2, 4], "seed": 2}
THREE = {"type": "se_e3", "sel": [4, 6], "rcut": 4.5, "rcut_smth": 0.5, "neuron": [2, 4], "seed": 3}
DPA1 = {"type": "dpa1", "sel": 10, "rcut": 6.0, "rcut_smth": 0.5, "neuron": [3, 6], "axis_neuron": 2, "tebd_dim": 4}
DPA1 |= {"attn": 5, "attn_layer": 2, "seed": 6}
DESCRIPTORS = {
    "pairs": {**A, "type_one_side": False, "resnet_dt": True},
    "three": {**THREE, "activation_function": "gelu"},
    "hybrid": {"type": "hybrid", "list": [{**A, "type_one_side": True}, R, THREE]},
    "attention": DPA1,
    "strip": {
        **{**DPA1, "tebd_input_mode": "strip", "attn_layer": 1, "attn_dotr": False, "normalize": False},
        **{"temperature": 0.5, "type_one_side": True, "exclude_types": [[1, 1]], "concat_output_tebd": False},
    },
    "no_attention": {**DPA1, "type": "se_atten_v2", "attn_layer": 0, "tebd_dim": 3, "resnet_dt": True},
    "steps": {**DPA1, "attn_layer": 1, "smooth_type_embedding": False, "rcut": 3.0},
    "blend": {**DPA1, "attn_layer": 0, "rcut": 4.0},
    "messages": {
        **{"type": "dpa2", "seed": 7, "smooth": True, "add_tebd_to_repinit_out": False},
        "repinit": {
            **{"rcut": 6.0, "rcut_smth": 0.5, "nsel": 8, "neuron": [2, 4], "axis_neuron": 2, "tebd_dim": 3},
            **{"tebd_input_mode": "strip", "use_three_body": True, "three_body_neuron": [2, 3], "three_body_sel": 6},
            **{"three_body_rcut": 4.0, "three_body_rcut_smth": 2.0},
        },
        "repformer": {
            **{"rcut": 4.0, "rcut_smth": 2.0, "nsel": 6, "nlayers": 2, "g1_dim": 4, "g2_dim": 3, "axis_neuron": 2},
            **{"update_g1_has_attn": False, "update_g2_has_attn": False, "update_g2_has_g1g1": False},
            **{"update_h2": False, "update_style": "res_residual", "g1_out_conv": True, "g1_out_mlp": True},
            **{"use_sqrt_nnei": True, "update_residual": 0.3},
        },
    },
}
TABLE = np.stack([(r := np.linspace(0.2, 4.0, 20)), *((k / r) * (1 - r / 4) ** 4 for k in (300, 80, 14))], 1)
POSITIONS = [
    [12.83, 2.56, 2.18],
    [12.09, 2.87, 2.74],
    [0.25, 3.32, 1.68],
    [3.36, 3.00, 1.81],
    [3.51, 2.51, 2.60],
    [4.27, 3.22, 1.56],
]
TYPES = [0, 1, 1, 0, 1, 1]
CELL = [[13.0, 0.0, 0.0], [0.5, 12.0, 0.0], [-0.3, 0.7, 11.0]]


def set_statistics(descriptor, rng):
    for part in getattr(descriptor, "descrpt_list", [descriptor]):
        if hasattr(part, "repformers"):
            for block in (part.repinit, part.repformers):
                block.stddev[:] = torch.from_numpy(rng.uniform(0.8, 1.2, (2, 1, 1)))
            part.repinit_three_body.stddev[:] = part.repformers.stddev
            continue
        has_mean = not hasattr(part, "se_atten")
        part = getattr(part, "sea", getattr(part, "seat", getattr(part, "se_atten", part)))
        mean, std = part.mean, part.stddev
        if has_mean:
            mean[:, :, 0] = torch.from_numpy(rng.uniform(0.2, 0.4, (2, 1)))
        std[:, :, 0] = torch.from_numpy(rng.uniform(0.8, 1.2, (2, 1)))
        if std.shape[2] == 4:
            std[:, :, 1:] = torch.from_numpy(rng.uniform(0.8, 1.2, (2, 1, 1)))


def plain(x):
    """Numbers of NumPy that YAML does not know as numbers of Python."""
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, list):
        return [plain(v) for v in x]
    return x.item() if isinstance(x, np.generic) else x


def results(model):
    """What it says, periodic and free."""
    found = []
    for box in (CELL, None):
        coord = torch.tensor(POSITIONS, dtype=torch.float64).reshape(1, -1)
        cell = None if box is None else torch.tensor(box, dtype=torch.float64).reshape(1, 9)
        said = model(coord, torch.tensor([TYPES]), cell, do_atomic_virial=True)
        values = {k: said[k].detach().numpy().reshape(-1).tolist() for k in ("atom_energy", "force", "virial")}
        found.append({"positions": POSITIONS, "types": TYPES, "cell": box, **values})
    return found


for name, descriptor in DESCRIPTORS.items():
    fitting = {"neuron": [5, 5], "resnet_dt": True, "seed": 4}
    about = {"type_map": ["O", "H"], "descriptor": descriptor, "fitting_net": fitting}
    if name == "blend":
        np.savetxt("table.txt", TABLE)
        about |= {"use_srtab": "table.txt", "sw_rmin": 0.8, "sw_rmax": 1.1}
    model = get_model(about).double()
    models = model.atomic_model.models if name == "blend" else [model.atomic_model]
    set_statistics(models[0].descriptor, np.random.default_rng(5))
    for k, one in enumerate(models):
        one.out_bias[0, :, 0] = torch.tensor([-93.0, -186.0]) + k
    if name == "blend":
        model.atomic_model.out_bias[0, :, 0] = torch.tensor([0.5, 0.25])
    path = f"deepmd_{name}.yaml"
    save_dp_model(path, {"backend": "PyTorch", "model": plain(model.serialize()), "model_def_script": {}})
    with open(path) as file:
        tree = yaml.safe_load(file)
    with open(path, "w") as file:
        tree |= {"results": results(model), "time": "", "software": "deepmd-kit 3.2.0"}
        yaml.safe_dump(tree, file, default_flow_style=None, width=110)

if len(sys.argv) > 1:
    model = BaseModel.deserialize(load_dp_model(sys.argv[1])["model"])
    with open("deepmd_dpa.json", "w") as file:
        json.dump(results(model), file, indent=1)
