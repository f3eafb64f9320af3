import numpy as np
import pytest
from ase.build import diamond100, molecule

from adlayer.report import plots
from adlayer.report.picture import picture


def words(fig) -> str:
    """All text of a figure."""
    from matplotlib.text import Text

    fig.canvas.draw()
    return "\n".join(t.get_text() for t in fig.findobj(Text))


def test_parity_says_the_error_of_each_group(rng):
    a = rng.standard_normal((50, 3))
    fig = plots.parity(forces={"bulk": (a, a + 0.012), "surface": (a[:9], a[:9] - 0.5)})
    assert "bulk  12" in words(fig)
    assert "surface  500" in words(fig)
    assert "meV/Å" in words(fig)
    assert len(plots.parity({"x": ([1.0], [1.0])}, {"x": (a, a)}).axes) == 2


def test_learning_curve_shows_the_numbers():
    fig = plots.learning_curve([10, 20, 21, 80], {"forces (meV/Å)": [100, 50, 49, 12.5]})
    assert "12.5" in words(fig)
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["10", "20", "80"]


def test_calibration_says_the_area(rng):
    s = rng.uniform(0.1, 1, 4000)
    e = s * rng.standard_normal(4000)
    assert "forces, area 0.00" in words(plots.calibration({"forces (eV/Å)": (e, s)}))
    assert "forces, area 0.2" in words(plots.calibration({"forces (eV/Å)": (e, s / 3)}))


def test_time_series_takes_lines_and_limits(rng):
    t = np.linspace(0, 1, 30)
    series = {"tilt (degrees)": rng.standard_normal((30, 4)), "uncertainty (eV/Å)": np.full(30, 0.1)}
    fig = plots.time_series(t, series, {"uncertainty (eV/Å)": 0.5})
    assert "threshold" in words(fig)
    assert len(fig.axes[0].lines) == 5  # four dimers and their mean
    assert fig.axes[2].get_ylim()[1] > 0.5


def test_spectrum_holds_all_modes():
    fig = plots.spectrum([100.0, 200.0], [110.0, 190.0, 300.0])
    x, y = fig.axes[0].lines[1].get_data()
    assert np.trapezoid(y, x) == pytest.approx(3, rel=1e-3)
    assert len(plots.spectrum(None, [110.0]).axes[0].lines) == 1


def test_history_marks_the_best():
    assert "0.5" in words(plots.history({"forces": [3.0, 0.5, 0.7]}))


def test_side_by_side_keeps_the_order():
    fig = plots.side_by_side(["first", "second"], [0, -0.2], [0, -0.19], "eV", std=[0.01, 0.01])
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["first", "second"]
    assert fig.axes[0].get_yticks()[0] > fig.axes[0].get_yticks()[1]


def test_picture_draws_near_atoms_over_far_ones():
    atoms = diamond100("Si", (2, 2, 4), vacuum=5)
    atoms.pbc = (True, True, False)
    values = np.arange(len(atoms), dtype=float)
    fig = picture(atoms, values, "doubt (eV/Å)", views=("top", "oblique"))
    assert "doubt (eV/Å)" in words(fig)
    top = fig.axes[0]
    balls = [c for c in top.collections if c.get_edgecolor().size and len(c.get_paths()) == 1]
    assert len(balls) == len(atoms)
    order = np.argsort(atoms.positions[:, 2], kind="stable")
    heights = [b.get_zorder() for b in balls]
    assert heights == sorted(heights)
    centers = np.array([b.get_paths()[0].get_extents().get_points().mean(0) for b in balls])
    x = atoms.get_positions(wrap=True)[order]
    np.testing.assert_allclose(centers[:, 0], x[:, 0], atol=0.02)
    assert len(fig.axes) == 3


def test_picture_of_a_molecule_by_element():
    fig = picture(molecule("CH3CH2OH"), views=("side",))
    assert len(fig.axes) == 1
    assert len(fig.axes[0].lines) == 2 * 8  # eight bonds, each drawn twice, and no cell
