"""Whether standard deviations are honest: scores of errors ``e`` against the ``s`` that were claimed for them.

The claim is ``e ~ N(0, s²)``. Definitions as in Tran et al., Mach. Learn.: Sci. Technol. 1, 025006 (2020) and Gneiting
and Raftery, J. Am. Stat. Assoc. 102, 359 (2007).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize_scalar
from scipy.special import erf
from scipy.stats import norm, spearmanr

Array = Float[ndarray, "n"]
LEVELS = np.linspace(0, 1, 41)


def nll(e: Array, s: Array) -> float:
    """Mean negative log likelihood ``ln s + e²/(2 s²) + ln(2 pi)/2``."""
    return float(np.mean(np.log(s) + 0.5 * (e / s) ** 2) + 0.5 * np.log(2 * np.pi))


def crps(e: Array, s: Array) -> float:
    """Mean continuous ranked probability score of a normal distribution, in the unit of ``e``.

    ``s [z (2 Phi(z) - 1) + 2 phi(z) - 1/sqrt(pi)]``, ``z = e / s`` (Gneiting and Raftery, Eq. 21).
    """
    z = e / s
    return float(np.mean(s * (z * erf(z / np.sqrt(2)) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))))


def calibration_curve(e: Array, s: Array, levels: Array = LEVELS) -> Array:
    """Which share of errors lies within the central interval that should hold ``levels`` of them."""
    inside = np.sort(2 * norm.cdf(np.abs(e) / s) - 1)
    return np.searchsorted(inside, levels, side="right") / len(inside)


def miscalibration_area(e: Array, s: Array) -> float:
    """Area between the calibration curve and the diagonal: 0 is honest, 0.5 as wrong as can be."""
    levels = np.linspace(0, 1, 1001)
    return float(np.trapezoid(np.abs(calibration_curve(e, s, levels) - levels), levels))


def ence(e: Array, s: Array, bins: int = 10) -> float:
    """Expected normalized calibration error: mean over bins of equal size in ``s`` of ``|RMS s - RMS e| / RMS s``.

    Levi et al., Sensors 22, 5540 (2022), Eq. 8.
    """
    parts = np.array_split(np.argsort(s), min(bins, len(s)))
    claimed = np.array([np.sqrt(np.mean(s[p] ** 2)) for p in parts])
    found = np.array([np.sqrt(np.mean(e[p] ** 2)) for p in parts])
    return float(np.mean(np.abs(claimed - found) / claimed))


def best_scale(e: Array, s: Array, by: str = "likelihood") -> float:
    """The factor by which ``s`` is to be multiplied, by greatest likelihood, ``sqrt(<e²/s²>)``, or least ``crps``."""
    likeliest = float(np.sqrt(np.mean((e / s) ** 2)))
    if by == "likelihood" or likeliest == 0:
        return likeliest
    if by != "crps":
        raise ValueError(f"by must be 'likelihood' or 'crps', got {by!r}")
    found = minimize_scalar(lambda x: crps(e, np.exp(x) * s), bounds=np.log(likeliest) + np.array([-5, 2]))
    return float(np.exp(found.x))


def conformal_quantile(scores: Array, level: float) -> float:
    """The ``ceil((n + 1) level)``-th smallest score: no smaller than the next one with probability ``level`` or more.

    Split conformal prediction with its finite-sample correction; the next score must be exchangeable with these
    (Angelopoulos and Bates, Found. Trends Mach. Learn. 16, 494 (2023), Sec. 1). Infinite where there are too few scores
    to promise anything.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    rank = int(np.ceil((len(scores) + 1) * level))
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else float("inf")


@dataclass(frozen=True)
class Quality:
    """How honest and how sharp the standard deviations of one quantity are.

    Args:
        n: how many errors there are.
        rmse: of the errors.
        sharpness: root mean square of the standard deviations: what the method believes of its own errors.
        nll: mean negative log likelihood.
        crps: continuous ranked probability score, in the unit of the errors.
        area: miscalibration area; 0 is honest.
        ence: expected normalized calibration error.
        correlation: Spearman's rank correlation of the size of error and standard deviation.
        coverage: share of errors within the intervals that should hold 50, 68, 90, 95 and 99 percent.
    """

    n: int
    rmse: float
    sharpness: float
    nll: float
    crps: float
    area: float
    ence: float
    correlation: float
    coverage: dict[str, float]

    @staticmethod
    def of(e: Array, s: Array) -> Quality:
        e, s = np.asarray(e, float), np.asarray(s, float)
        levels = np.array([0.5, 0.68, 0.9, 0.95, 0.99])
        varies = len(e) > 2 and np.ptp(s) > 0 and np.ptp(np.abs(e)) > 0
        return Quality(
            n=len(e),
            rmse=float(np.sqrt(np.mean(e**2))),
            sharpness=float(np.sqrt(np.mean(s**2))),
            nll=nll(e, s),
            crps=crps(e, s),
            area=miscalibration_area(e, s),
            ence=ence(e, s),
            correlation=float(spearmanr(np.abs(e), s).statistic) if varies else float("nan"),
            coverage={f"{p:g}": float(c) for p, c in zip(levels, calibration_curve(e, s, levels))},
        )

    def as_dict(self) -> dict:
        return asdict(self)
