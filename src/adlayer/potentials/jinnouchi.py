"""Bayesian linear regression on similarities to local reference configurations: VASP's force fields.

R. Jinnouchi, F. Karsai and G. Kresse, Phys. Rev. B 100, 014105 (2019); descriptors: Jinnouchi et al., J. Chem. Phys.
152, 234102 (2020).
"""

from __future__ import annotations

from ..config import build
from ..potential import Potential, Sum
from .sparse_kernel import SumOfKernels


class Jinnouchi(SumOfKernels):
    """``E_i = sum_s w_s (x_i · x_s)^zeta``, ``w ~ N(0, delta²)``, ``x`` normalized ``DensityDistributions``.

    ``SparseGP`` with ``hyperparameters = "evidence"`` is the Bayesian linear regression: it finds ``delta`` and the
    noise of each kind of label by their evidence. It is ``EnvironmentGP`` with the prior on the weights, while that of
    GAP and FLARE is on the process, ``w ~ N(0, K⁻¹)``; doubt is that about the weights alone. Defaults are those of
    VASP.

    Args:
        elements: chemical symbols.
        cutoff: of distances, Å.
        cutoff_3: of angles, Å.
        sigma: width of the Gaussians, Å.
        n_2: number of radial functions of distances.
        n_3: number of those of angles.
        l_max: largest l.
        weight_2: weight of distances beside angles.
        zeta: sharpness of the comparison.
        n_sparse: local reference configurations of each element.
        delta: standard deviation of a weight before any data, eV.
        points: how they are chosen; see ``nn.sparse_points``.
    """

    small = {"elements": ["Si", "H"], "cutoff": 4.0, "cutoff_3": 3.5, "n_2": 3, "n_3": 2, "l_max": 2, "n_sparse": 3}

    def __init__(
        self,
        elements: list[str],
        cutoff: float = 8.0,
        cutoff_3: float = 5.0,
        sigma: float = 0.5,
        n_2: int = 12,
        n_3: int = 8,
        l_max: int = 3,
        weight_2: float = 0.1,
        zeta: float = 4,
        n_sparse: int = 1000,
        delta: float = 1.0,
        points: str = "cur",
    ):
        super().__init__()
        elements = list(elements)
        density = {"elements": elements, "cutoff": cutoff, "cutoff_3": cutoff_3, "sigma": sigma}
        density |= {"n_2": n_2, "n_3": n_3, "l_max": l_max, "weight_2": weight_2}
        environment = {"elements": elements, "descriptor": {"DensityDistributions": density}, "prior": "weights"}
        environment |= {"zeta": zeta, "n_sparse": n_sparse, "delta": delta, "points": points}
        self.sum = Sum([build({"EnvironmentGP": environment}, Potential)])
        self.cutoff, self.elements = self.sum.cutoff, tuple(elements)
