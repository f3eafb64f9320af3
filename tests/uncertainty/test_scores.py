import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from adlayer.uncertainty.scores import (
    Quality,
    best_scale,
    calibration_curve,
    conformal_quantile,
    crps,
    ence,
    miscalibration_area,
    nll,
)


@pytest.fixture
def honest(rng):
    s = rng.uniform(0.05, 0.5, 20000)
    return s * rng.standard_normal(len(s)), s


def test_nll_and_crps_are_what_they_are_defined_as():
    e, s = np.array([0.3]), np.array([0.2])
    assert nll(e, s) == pytest.approx(-norm.logpdf(0.3, scale=0.2))
    integral = quad(lambda x: (norm.cdf(x / 0.2) - (x > 0.3)) ** 2, -3, 0.3)[0]
    integral += quad(lambda x: (norm.cdf(x / 0.2) - 1) ** 2, 0.3, 3)[0]
    assert crps(e, s) == pytest.approx(integral, rel=1e-6)
    assert crps(np.zeros(1), np.ones(1)) == pytest.approx((np.sqrt(2) - 1) / np.sqrt(np.pi))


def test_honest_deviations_are_found_honest_and_others_not(honest):
    e, s = honest
    levels = np.linspace(0, 1, 11)
    np.testing.assert_allclose(calibration_curve(e, s, levels), levels, atol=0.012)
    assert miscalibration_area(e, s) < 0.01
    assert ence(e, s) < 0.03
    assert miscalibration_area(e, s / 3) > 0.2
    assert ence(e, s / 3) == pytest.approx(2.0, abs=0.1)
    # 0.5 where everything is hidden behind endless error bars, or nothing is covered at all
    assert miscalibration_area(e, 1e6 * s) == pytest.approx(0.5, abs=0.01)
    assert miscalibration_area(e, 1e-6 * s) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("by", ["likelihood", "crps"])
def test_the_scale_that_was_taken_away_is_found_again(honest, by):
    e, s = honest
    assert best_scale(e, s / 2.5, by) == pytest.approx(2.5, rel=0.02)


def test_crps_minds_outliers_less(honest):
    e, s = honest
    e = e.copy()
    e[:20] *= 50
    assert best_scale(e, s, "crps") < 1.1 < best_scale(e, s, "likelihood")


def test_scale_says_what_it_accepts():
    with pytest.raises(ValueError, match="'likelihood' or 'crps', got 'guess'"):
        best_scale(np.ones(3), np.ones(3), "guess")


def test_conformal_quantile_is_the_order_statistic_of_finite_samples():
    scores = np.arange(1.0, 20.0)  # 19 of them: ceil(20 * 0.9) = 18
    assert conformal_quantile(scores, 0.9) == 18
    assert conformal_quantile(scores, 0.96) == np.inf
    with pytest.raises(ValueError, match="between 0 and 1"):
        conformal_quantile(scores, 90)


def test_conformal_promise_is_kept_on_average_even_for_small_sets(rng):
    level, n = 0.8, 14
    kept = []
    for _ in range(4000):
        scores = rng.standard_t(2, n + 1) ** 2  # nothing normal about it
        kept.append(scores[-1] <= conformal_quantile(scores[:-1], level))
    assert np.mean(kept) == pytest.approx(level, abs=0.02)  # ceil(15 * 0.8) / 15 = 0.8 exactly


def test_quality_of_honest_deviations(honest):
    e, s = honest
    q = Quality.of(e, s)
    assert q.rmse == pytest.approx(q.sharpness, rel=0.03)
    assert q.coverage["0.9"] == pytest.approx(0.9, abs=0.01)
    assert q.correlation > 0.3
    assert np.isnan(Quality.of(e, np.ones_like(s)).correlation)
