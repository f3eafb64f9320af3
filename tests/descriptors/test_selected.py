import numpy as np
import pytest
import torch
from conftest import silicon

from adlayer import Dataset, Graph, Structures, evaluate, load, save
from adlayer.data.selection import CUR
from adlayer.descriptors import ACSF, SOAP, Selected
from adlayer.descriptors.selected import choose_features, select_functions
from adlayer.fitting import GradientDescent
from adlayer.nn.subsets import cur_rows, farthest_rows
from adlayer.potentials.hdnnp import HDNNP
from adlayer.potentials.stillinger_weber import StillingerWeber


@pytest.fixture(scope="module")
def graph() -> Graph:
    structures = Structures.from_ase([silicon(kind, seed) for kind in ("bulk", "slab", "cluster") for seed in range(4)])
    return Graph.of(structures, 5.0)


@pytest.fixture(scope="module")
def pool() -> ACSF:
    return ACSF(["Si", "H"], cutoff=5.0, style="pool", n_radial=5, n_angular=2, zetas=[1, 2])


def test_the_pool_has_centered_radial_functions_as_well(pool):
    radial = [f for f in pool.of_element["Si"] if type(f).__name__ == "RadialGaussian" and f.neighbor == "Si"]
    assert {f.shift for f in radial[5:]} == {0.0}
    assert len(radial) == 10
    np.testing.assert_allclose(radial[7].eta, (5 ** (2 / 5) / 5.0) ** 2)  # Imbalzano et al., Eq. 8


def test_cur_takes_what_explains_most():
    rng = np.random.default_rng(0)
    few = rng.standard_normal((200, 3))
    mixed = few @ rng.standard_normal((3, 4))
    x = torch.from_numpy(np.hstack([0.01 * rng.standard_normal((200, 2)), 5 * few, mixed]))
    for by in ("cur", "farthest"):
        chosen = choose_features(x, 4, by)
        Q = torch.linalg.qr((x - x.mean(0))[:, chosen[:3]]).Q  # three that span all but the noise
        rest = (x - x.mean(0)) - Q @ (Q.T @ (x - x.mean(0)))
        if by == "cur":
            assert rest.norm() < 0.02 * x.norm()
    assert sorted(cur_rows(x.T, 100)) == sorted(set(cur_rows(x.T, 100)))
    assert len(cur_rows(x.T, 100)) == 5  # the rank


def test_cur_of_items_is_the_same(rng):
    x = rng.standard_normal((12, 5))
    assert CUR(2).choose(x, np.ones(12), 4, rng) == cur_rows(torch.from_numpy(x), 4, 2)


def test_farthest_rows_do_not_repeat():
    x = torch.tensor([[0.0, 1.0], [0.0, 1.0], [3.0, 0.0], [2.9, 0.0]], dtype=torch.float64)
    assert farthest_rows(x, 4) == [2, 0, 3]


@pytest.mark.parametrize("by", ["cur", "farthest"])
def test_chosen_functions_are_those_of_the_pool(pool, graph, by):
    selected = Selected(pool, n=6, by=by)
    selected.prepare([graph])
    everything, chosen = pool(graph), selected(graph)
    species = selected.species(graph.numbers)
    for e in (0, 1):
        columns = selected.columns[e]
        assert len(set(columns.tolist())) == 6
        torch.testing.assert_close(chosen[species == e], everything[species == e][:, columns], rtol=1e-12, atol=1e-14)
    assert len(selected.alone.functions) == 12
    short = select_functions(pool, [graph], 6, by)
    torch.testing.assert_close(short(graph), chosen)
    assert short.arguments["functions"][0].keys() <= {"RadialGaussian", "AngularGaussian"}


def test_features_of_others_are_picked(graph, tmp_path):
    soap = SOAP(["Si", "H"], cutoff=4.0, n_max=3, l_max=2)
    selected = Selected(soap, n=7)
    selected.prepare([graph.within(4.0)])
    here = graph.within(4.0)
    rows, species = soap(here), selected.species(graph.numbers)
    torch.testing.assert_close(selected(here)[species == 0], rows[species == 0][:, selected.columns[0]])
    J = soap.jacobian(here)[species[here.i] == 1][..., selected.columns[1]]
    torch.testing.assert_close(selected.jacobian(here)[species[here.i] == 1], J)
    with pytest.raises(TypeError, match="features of SOAP cannot be computed alone"):
        select_functions(soap, [here], 3)


def test_few_that_vary_leave_zeros(graph):
    bulk = Structures.from_ase([silicon("bulk", k) for k in range(3)])
    selected = Selected(ACSF(["Si", "H"], cutoff=4.0, n_radial=3, n_angular=1, zetas=[1]), n=20)
    selected.prepare([Graph.of(bulk, 4.0)])
    n = int((selected.columns[0] >= 0).sum())
    assert 3 <= n < 12  # those of hydrogen are constant
    x = selected(Graph.of(bulk, 4.0))
    assert x.shape[1] == selected.n_features == 12
    assert (x[:, n:] == 0).all()


def test_a_network_chooses_when_its_fit_begins(graph, tmp_path):
    structures = Structures.from_ase([silicon("bulk", k) for k in range(5)])
    data = Dataset(structures, evaluate(StillingerWeber.silicon(), structures)._replace(energies=None))
    pool = {"ACSF": {"elements": ["Si"], "cutoff": 4.0, "style": "pool", "n_radial": 4, "n_angular": 1, "zetas": [1]}}
    fitted = GradientDescent(epochs=2)(HDNNP(["Si"], descriptor={"Selected": {"of": pool, "n": 4}}, hidden=[3]), data)
    descriptor = fitted.potential.parts[1].descriptor
    assert descriptor.columns.tolist() != [[0, 1, 2, 3]]
    save(tmp_path / "p.adl", fitted.potential)
    again = load(tmp_path / "p.adl")
    assert len(again.parts[1].descriptor.alone.functions) == 4
    torch.testing.assert_close(evaluate(again, structures).forces, evaluate(fitted.potential, structures).forces)


def test_bad_arguments_are_said(pool):
    with pytest.raises(ValueError, match="chosen by cur or farthest, got 'curr'; did you mean 'cur'"):
        Selected(pool, by="curr")
    with pytest.raises(ValueError, match="n must be at least 1"):
        Selected(pool, n=0)
