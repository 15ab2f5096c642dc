"""All tests, and the processes that they start, use one thread.

Two threads would make small batches slower.
"""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _short_search():
    """The search for a batch size makes a few calls for each size: which it finds is not tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sosmooth.sampling.batch_size._SECONDS_TO_MEASURE", 0.0)
        yield


@pytest.fixture
def no_figures(monkeypatch):
    """Where a test of a report is about other parts: its figures cost most of the time."""
    from sosmooth.report import pictures

    monkeypatch.setattr(pictures, "as_png", lambda figure: b"")
    monkeypatch.setattr(pictures, "as_pdf", lambda figure: b"")
    monkeypatch.setattr(pictures, "as_svg", lambda figure: '<svg width="1" height="1"></svg>')
    monkeypatch.setattr(pictures, "laid_out", lambda figure: figure)
