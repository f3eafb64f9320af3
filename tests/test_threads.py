import numba
import pytest
import torch

from adlayer.threads import SMALL, use_all_threads, use_threads


@pytest.fixture(autouse=True)
def restore():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    use_threads(SMALL)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="only one thread is allowed here")
def test_small_systems_use_one_thread_and_large_ones_all():
    torch.set_num_threads(2)
    use_threads(SMALL - 1)
    assert (numba.get_num_threads(), torch.get_num_threads()) == (1, 1)
    use_threads(SMALL)
    assert (numba.get_num_threads(), torch.get_num_threads()) == (2, 2)
    use_threads(1)
    use_all_threads()  # as before linear algebra
    assert (numba.get_num_threads(), torch.get_num_threads()) == (2, 2)


def test_what_torch_was_told_holds_for_the_kernels():
    torch.set_num_threads(1)
    use_threads(10 * SMALL)
    assert (numba.get_num_threads(), torch.get_num_threads()) == (1, 1)
