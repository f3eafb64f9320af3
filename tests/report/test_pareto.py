import numpy as np
from test_plots import words

from adlayer.fitting.comparison import Compared, pareto_front
from adlayer.report.comparison import by_error, front, table
from adlayer.report.pareto import pareto


def test_the_front_is_what_no_other_beats():
    x, y = [3.0, 1.0, 2.0, 2.0, np.nan, 4.0], [1.0, 5.0, 2.0, 3.0, 0.1, 1.0]
    assert pareto_front(x, y) == [1, 2, 0]
    assert pareto_front([], []) == []


def test_every_name_is_there_and_touches_no_other():
    rng = np.random.default_rng(1)
    names = [f"family {k}" for k in range(6)]
    fig = pareto(
        names,
        {"force MAE (meV/Å)": 10 ** rng.uniform(0, 2, 6)},
        {"cost": 10 ** rng.uniform(0, 1, 6), "fit": range(1, 7)},
    )
    assert words(fig).count("family") == 12
    for ax in fig.axes:
        boxes = [t.get_window_extent() for t in ax.texts]
        assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    assert {"cost", "fit", "force MAE (meV/Å)"} <= set(words(fig).splitlines())


def compared(name: str, forces: float, cost: float, **more) -> Compared:
    metrics = {"train": {"forces_mae": 0.0}, "test": {"forces_mae": forces, "energy_mae": 0.001}}
    return Compared(name, metrics=metrics, cost=cost, cpu_seconds=1.234, memory=1e6, parameters=1234, **more)


def test_the_table_begins_with_the_most_accurate():
    found = [compared("a", 0.1, 1e-6), Compared("b", "it broke"), compared("c", 0.01, 1e-5), compared("d", 0.2, 1e-5)]
    assert [c.name for c in by_error(found)] == ["c", "a", "d", "b"]
    assert [c.name for c in front(found)] == ["a", "c"]
    columns, rows = table(found)
    assert columns[1] == "force MAE, meV/Å"
    assert rows[0] == ["**c**", "10", "1", "1.23", "1", "10", "1234"]
    assert "force RMSE, meV/Å" not in columns
    assert rows[2][0] == "d"
    assert rows[3][:2] == ["b", "failed"]
