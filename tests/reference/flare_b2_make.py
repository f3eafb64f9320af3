"""Numbers of FLARE's sparse Gaussian process on B2 descriptors: features, predictions, variances, likelihood.

Compiles FLARE's own C++ (github.com/mir-group/flare, release 1.4) with Eigen and nlohmann's json:

    python tests/reference/flare_b2_make.py FLARE/src/flare_pp EIGEN_INCLUDE JSON_INCLUDE
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
CUTOFF, N_MAX, L_MAX, SIGMA, NOISE = 4.2, 3, 2, 1.5, (0.02, 0.05)
NEEDED = {"cutoffs", "radial", "structure", "y_grad", "b2", "descriptor", "sparse_gp", "kernel", "dot_product"}
NEEDED |= {"normalized_dot_product", "norm_dot_icm", "squared_exponential"}
PROGRAM = """
#include "b2.h"
#include "normalized_dot_product.h"
#include "sparse_gp.h"
#include "structure.h"
#include <iomanip>
#include <iostream>
template <class V> void show(const char *name, const V &v) {
  std::cout << "\\"" << name << "\\": [";
  for (int i = 0; i < v.size(); i++) std::cout << (i ? ", " : "") << v(i);
  std::cout << "]";
}
int main() {
  std::cout << std::setprecision(16);
  int n_frames; double cutoff, sigma, en, fn; int n_max, l_max;
  std::cin >> n_frames >> cutoff >> n_max >> l_max >> sigma >> en >> fn;
  B2 b2("chebyshev", "quadratic", {0.0, cutoff}, {}, {2, n_max, l_max});
  NormalizedDotProduct kernel(sigma, 2);
  SparseGP gp({&kernel}, en, fn, 1.0);
  gp.Kuu_jitter = 1e-10;
  std::vector<Structure> frames;
  for (int f = 0; f < n_frames; f++) {
    int n; std::cin >> n;
    Eigen::MatrixXd cell(3, 3), positions(n, 3);
    std::vector<int> species(n);
    Eigen::VectorXd energy(1), forces(3 * n);
    for (int a = 0; a < 3; a++) for (int b = 0; b < 3; b++) std::cin >> cell(a, b);
    for (int i = 0; i < n; i++) std::cin >> species[i];
    for (int i = 0; i < n; i++) for (int b = 0; b < 3; b++) std::cin >> positions(i, b);
    for (int i = 0; i < 3 * n; i++) std::cin >> forces(i);
    std::cin >> energy(0);
    Structure s(cell, species, positions, cutoff, {&b2});
    s.energy = energy; s.forces = forces; s.stresses = Eigen::VectorXd(0);
    frames.push_back(s);
  }
  for (int f = 0; f + 1 < n_frames; f++) {
    gp.add_training_structure(frames[f]);
    if (f == 0) gp.add_all_environments(frames[f]);
  }
  gp.update_matrices_QR();
  gp.compute_likelihood_stable();
  Structure &test = frames.back();
  std::cout << "{";
  const auto &d = test.descriptors[0];
  std::cout << "\\"features\\": [";
  for (int s = 0; s < 2; s++)
    for (int i = 0; i < d.descriptors[s].rows(); i++) {
      std::cout << (s + i ? ", {" : "{") << "\\"atom\\": " << d.atom_indices[s](i) << ", ";
      show("values", d.descriptors[s].row(i)); std::cout << "}";
    }
  std::cout << "], ";
  gp.predict_SOR(test); show("mean", test.mean_efs); std::cout << ", "; show("sor", test.variance_efs);
  gp.predict_DTC(test); std::cout << ", "; show("dtc", test.variance_efs);
  std::cout << ", \\"log_likelihood\\": " << gp.log_marginal_likelihood << "}" << std::endl;
}
"""

frames = json.loads((HERE / "flare.json").read_text())["frames"]
energies = [-1.0, 0.5, 0.0]
words = [len(frames), CUTOFF, N_MAX, L_MAX, SIGMA, *NOISE]
for frame, energy in zip(frames, energies):
    words += [len(frame["numbers"]), *(x for row in frame["cell"] for x in row)]
    words += [int(z == 47) for z in frame["numbers"]]
    words += [x for row in frame["positions"] + frame["forces"] for x in row] + [energy]
source, *includes = sys.argv[1:]
rooms = [Path(source) / room for room in ("", "descriptors", "kernels", "bffs")]
with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "main.cpp").write_text(PROGRAM)
    files = [str(p) for room in rooms for p in sorted(room.glob("*.cpp")) if p.stem in NEEDED]
    command = ["g++", "-O1", "-std=c++17", "-w", *(f"-I{p}" for p in [*rooms, *includes]), f"{folder}/main.cpp", *files]
    subprocess.run([*command, "-o", f"{folder}/main"], check=True)
    said = subprocess.run(
        [f"{folder}/main"], input=" ".join(map(str, words)), capture_output=True, text=True, check=True
    )
out = json.loads(said.stdout.splitlines()[-1])
out |= {"cutoff": CUTOFF, "n_max": N_MAX, "l_max": L_MAX, "sigma": SIGMA, "noise": NOISE, "energies": energies}
(HERE / "flare_b2.json").write_text(json.dumps(out) + "\n")
print(out["mean"], out["sor"], out["dtc"], out["log_likelihood"])
