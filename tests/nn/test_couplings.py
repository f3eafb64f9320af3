from itertools import combinations_with_replacement, product

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from adlayer.nn.couplings import clebsch_gordan, invariants, symmetric_invariants
from adlayer.nn.spherical_harmonics import spherical_harmonics


def wigner(l, rotation):
    """How harmonics of degree l of rotated vectors follow from those of the vectors."""
    u = np.random.default_rng(0).normal(size=(4 * l + 5, 3))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    block = slice(l * l, (l + 1) ** 2)
    before = spherical_harmonics(l, torch.tensor(u))[:, block].numpy()
    after = spherical_harmonics(l, torch.tensor(rotation.apply(u)))[:, block].numpy()
    return np.linalg.lstsq(before, after, rcond=None)[0].T


@pytest.mark.parametrize(("l1", "l2", "L"), [(1, 1, 0), (1, 1, 1), (2, 1, 1), (2, 2, 3), (3, 2, 4), (4, 3, 2)])
def test_clebsch_gordan_couples_equivariantly(l1, l2, L):
    C, R = clebsch_gordan(l1, l2, L), Rotation.from_euler("xyz", [0.3, -1.1, 2.0])
    D1, D2, D3 = wigner(l1, R), wigner(l2, R), wigner(L, R)
    np.testing.assert_allclose(np.einsum("abM,ai,bj->ijM", C, D1, D2), np.einsum("ijN,MN->ijM", C, D3), atol=1e-12)
    np.testing.assert_allclose(np.einsum("abM,abN->MN", C, C), np.eye(2 * L + 1), atol=1e-13)


@pytest.mark.parametrize("ls", [(0,), (2, 2), (1, 1, 2), (1, 2, 3), (1, 1, 2, 2), (1, 2, 2, 2, 3), (1, 1, 1, 1, 1, 1)])
def test_invariants_are_invariant_orthonormal_and_complete(ls):
    T = invariants(ls)
    rotated = T
    for l in ls:  # each turn moves the first open axis to the end
        rotated = np.tensordot(rotated, wigner(l, Rotation.from_euler("zyx", [0.7, 0.2, -0.9])), axes=(1, 0))
    np.testing.assert_allclose(rotated, T, atol=1e-11)
    flat = T.reshape(len(T), -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(len(T)), atol=1e-12)
    total = [sum(m) for m in product(*(range(-l, l + 1) for l in ls))]
    assert len(T) == total.count(0) - total.count(1)  # states of M = 0 less those of M = 1: the number with L = 0


def test_known_numbers_of_invariants():
    """Multiplicity of L = 0 in powers of l = 1 (Motzkin sums) and of l = 2."""
    assert [len(invariants((1,) * n)) for n in (2, 4, 6)] == [1, 3, 15]
    assert [len(invariants((2,) * n)) for n in (2, 3, 4, 5, 6)] == [1, 1, 5, 16, 65]
    assert len(invariants((1, 1, 1))) == 0  # the triple product changes sign under inversion


@pytest.mark.parametrize("l", [1, 2, 3, 4])
@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_number_of_symmetric_invariants(l, order):
    """Of equal factors: multisets with M = 0 less those with M = 1; degrees of the invariants of binary forms."""
    _, C = symmetric_invariants((l,) * order, (0,) * order)
    total = [sum(m) for m in combinations_with_replacement(range(-l, l + 1), order)]
    assert len(C) == (0 if l * order % 2 else total.count(0) - total.count(1))


@pytest.mark.parametrize(
    ("ls", "same"), [((1, 1, 2, 2), (0, 0, 1, 1)), ((1, 1, 2, 2), (0, 1, 2, 2)), ((2, 2, 2, 2, 2), (0, 0, 0, 1, 1))]
)
def test_symmetric_invariants_are_a_basis_of_the_symmetrized_space(ls, same):
    products, C = symmetric_invariants(ls, same)
    T, rng = invariants(ls), np.random.default_rng(1)
    values = []  # of all invariants and of the reduced ones, for random functions
    for _ in range(3 * len(T)):
        A = {s: rng.normal(size=2 * l + 1) for s, l in zip(same, ls)}
        full = T
        for s in same:
            full = np.tensordot(full, A[s], axes=(1, 0))
        reduced = C @ np.prod([A[s][products[:, k] + ls[k]] for k, s in enumerate(same)], axis=0)
        values.append((full, reduced))
    full, reduced = (np.array(x) for x in zip(*values))
    assert np.linalg.matrix_rank(full, tol=1e-9) == len(C) == np.linalg.matrix_rank(reduced, tol=1e-9)
    assert np.linalg.matrix_rank(np.hstack([full, reduced]), tol=1e-9) == len(C)  # they span the same
