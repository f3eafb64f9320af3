"""Powers of a density that are smooth where it vanishes, as embeddings of Finnis-Sinclair type."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def shifted_power(x: Float[Tensor, "*shape"], m: float) -> Float[Tensor, "*shape"]:
    """``sign(x) ((|x| + a e^-|x|)^m - b e^-|x|)`` with ``a, b`` such that value and third derivative vanish at 0.

    ``a = (1/m)^(1/(m-1))``, ``b = (1/m)^(m/(m-1))``, and ``x`` itself for ``m = 1``: PACE's shifted and scaled one.
    Bochkarev et al., Phys. Rev. Mater. 6, 013804 (2022).
    """
    if m == 1:
        return x
    sign = torch.where(x < 0, -1.0, 1.0).to(x.dtype)  # unlike torch.sign, with a slope at zero
    a = sign * x
    e = torch.exp(-a)
    return sign * ((a + (1 / m) ** (1 / (m - 1)) * e) ** m - (1 / m) ** (m / (m - 1)) * e)


def smoothed_power(x: Float[Tensor, "*shape"], m: float, w: float = 1e6) -> Float[Tensor, "*shape"]:
    """``sign(x) ((1 - g) |x|^m + g w^(1-m) |x|)``, ``g = exp(-(w |x|)^3)``: linear where ``|x| < 1 / w``.

    Lysogorskiy et al., npj Comput. Mater. 7, 97 (2021), Methods.
    """
    if m == 1:
        return x
    sign = torch.where(x < 0, -1.0, 1.0).to(x.dtype)
    a = sign * x
    tiny = a <= 1e-10
    safe = torch.where(tiny, torch.ones_like(a), a)
    g = torch.exp(-((w * safe) ** 3).clamp_max(80.0))
    return sign * torch.where(tiny, w ** (1 - m) * a, (1 - g) * safe**m + g * w ** (1 - m) * safe)
