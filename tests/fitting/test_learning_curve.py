import math

import pytest
from pair_basis import PairBasis, copper, labeled

from adlayer.fitting import LeastSquares
from adlayer.fitting.learning_curve import LearningCurve, learning_curve

TRUE = [0.9, -0.4, 0.3, 0.25, -0.6, 0.1]


def test_errors_fall_and_what_is_known_is_not_fitted_again(tmp_path):
    true = PairBasis(coefficients=TRUE)
    train, valid = labeled(copper(32), true, noise=0.05), labeled(copper(6, 1), true)
    said, arguments = [], {"method": LeastSquares(ridge=1e-8), "sizes": [2, 8, 32], "seeds": 2, "folder": tmp_path}
    curve = learning_curve(PairBasis(), train, valid, **arguments)
    sizes, mean, spread = curve.of("forces_rmse")
    assert sizes.tolist() == [2, 8, 32]
    assert mean[0] > mean[1] > mean[2]
    assert spread[2] == pytest.approx(0, abs=1e-12)  # all frames in another order
    assert len(curve.rows) == 6
    path = tmp_path / "learning_curve.jsonl"
    path.write_text(path.read_text() + '{"size": 3, "se')  # cut off by an interruption
    again = learning_curve(PairBasis(), train, valid, **arguments, progress=lambda *a: said.append(a))
    assert again == curve
    assert said[-1][:2] == (6, 6)


def test_the_power_law_of_exact_data():
    rows = [{"size": n, "seed": s, "forces_mae": 3.0 * n**-0.5} for n in (10, 40, 160) for s in (0, 1)]
    curve = LearningCurve(tuple(rows))
    assert curve.power_law() == pytest.approx((3.0, 0.5))
    assert curve.needed(0.03) == pytest.approx(10_000)
    flat = LearningCurve(tuple({"size": n, "seed": 0, "forces_mae": float(n)} for n in (1, 2)))
    assert math.isinf(flat.needed(0.1))
    with pytest.raises(ValueError, match="at least two sizes, got 1"):
        LearningCurve(rows[:1]).power_law()


def test_bad_sizes_are_said():
    data = labeled(copper(3), PairBasis(coefficients=TRUE))
    with pytest.raises(ValueError, match=r"from 1 to 3 \(the training set\), got \[2, 4\]"):
        learning_curve(PairBasis(), data, data, sizes=[2, 4])
