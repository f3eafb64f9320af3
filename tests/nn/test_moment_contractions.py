"""How many contractions of moment tensors there are."""

import pytest

from adlayer.nn.moment_contractions import contractions, select

# Scalars, basic moments of MLIP's untrained potentials 02.mtp, 04.mtp ...
PUBLISHED = {2: (1, 1), 4: (2, 1), 6: (5, 5), 8: (9, 11), 10: (16, 25), 12: (29, 46), 14: (52, 81), 16: (92, 130)}


@pytest.mark.parametrize("level", PUBLISHED)
def test_as_many_as_published(level):
    known = contractions(level)
    assert (len(known.scalars), len(known.basic)) == PUBLISHED[level]
    assert len({tuple(p) for p in known.products[:, [0, 1, 3]].tolist()}) == len(known.products)
    assert (known.products[:, :2].max(1, initial=-1) < known.products[:, 3]).all()


def test_beyond():
    assert len(select(18)) == 163
    assert len(select(20)) == 288
