"""What every test shares: one thread (two would make small batches slower), and nothing left over between tests."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
