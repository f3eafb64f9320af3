import numpy as np
import pytest
import torch

from adlayer.nn.wigner import clebsch_gordan, triples, wigner_matrices


def rotations(seed):
    q = np.random.default_rng(seed).normal(size=(5, 4))
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    return torch.complex(*torch.tensor(q[:, :2]).T), torch.complex(*torch.tensor(q[:, 2:]).T)


def test_wigner_matrices_are_unitary_and_multiply_as_rotations_do():
    (a, b), (c, d) = rotations(0), rotations(1)
    # [[a*, -b*], [b, a]] [[c*, -d*], [d, c]] has as its second row:
    product = wigner_matrices(a * c - b * d.conj(), b * c.conj() + a * d, 7)
    for U, V, UV in zip(wigner_matrices(a, b, 7), wigner_matrices(c, d, 7), product):
        torch.testing.assert_close(U @ U.mH, torch.eye(U.shape[1]).to(U).expand_as(U))
        torch.testing.assert_close(U @ V, UV)


@pytest.mark.parametrize(("p", "q"), [(1, 1), (3, 2), (4, 4), (7, 5)])
def test_products_of_wigner_matrices_fall_apart_into_those_of_other_degrees(p, q):
    """``U^p U^q = sum_r C C U^r``, and the coefficients are a unitary change of basis."""
    U = wigner_matrices(*rotations(2), p + q)
    C = {r: torch.tensor(clebsch_gordan(p, q, r)).to(U[0]) for r in range(p - q, p + q + 1, 2)}
    product = torch.einsum("nac,nbd->nabcd", U[p], U[q])
    again = sum(torch.einsum("abm,cdk,nmk->nabcd", C[r], C[r], U[r]) for r in C)
    torch.testing.assert_close(again, product)
    basis = torch.cat([C[r] for r in C], 2).reshape((p + 1) * (q + 1), -1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(len(basis)).to(basis))


def test_number_of_components():
    assert [len(triples(t)) for t in (0, 2, 4, 6, 8)] == [1, 5, 14, 30, 55]
    assert triples(2) == [(0, 0, 0), (1, 0, 1), (1, 1, 2), (2, 0, 2), (2, 2, 2)]
