"""The suite checks shapes: what does not fit the annotations raises."""

from dataclasses import replace

import pytest
from jaxtyping import TypeCheckError

from adlayer import Graph
from adlayer.graph import sum_edges


def test_a_dataclass(silicon_structures):
    s = silicon_structures
    for wrong in ({"positions": s.positions[:, :2]}, {"cell": s.cell[1:]}, {"numbers": s.numbers.double()}):
        with pytest.raises(TypeCheckError, match="Structures"):
            replace(s, **wrong)
    graph = Graph.of(s, 3.0)
    with pytest.raises(TypeCheckError, match="Graph"):
        replace(graph, first=graph.first[:-1])


def test_a_function(silicon_structures):
    graph = Graph.of(silicon_structures, 3.0)
    x = graph.vectors
    assert sum_edges(x, graph).shape == (graph.n_atoms, 3)
    with pytest.raises(TypeCheckError, match="with_vectors"):
        graph.with_vectors(x[:, 0])
