"""What all tests share: no display, the CPU, and one worker for the tests that need the built site."""

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("SELFGATED_DEVICE", "cpu")
sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Keep the tests of the site in one worker (``--dist loadgroup``), so that the book is built once."""
    for item in items:
        if item.path.name == "test_site.py":
            item.add_marker(pytest.mark.xdist_group("site"))


@pytest.fixture
def one_thread():
    """One torch thread: the same bits on every machine, and no waiting for other workers."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
