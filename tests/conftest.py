"""What all tests share: no display, the CPU, and one worker for the tests that need the same dear thing."""

import os
import shutil
import sys
from pathlib import Path

import pytest

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("SELFGATED_DEVICE", "cpu")
# Two workers with two threads each wait for one another: the tiny experiments then take twenty times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]


# Files whose tests share something dear (the built site, graded assignments) run in one worker each group.
# pytest 9.2 has no longer the attribute by which xdist 3.8 reads the marker `xdist_group`.
TOGETHER = {
    "test_site.py": "site",
    "test_assignment_pages.py": "site",
    "test_leaks.py": "site",
    "test_slides.py": "slides",
    "test_feedback.py": "slides",
    "test_course.py": "course",
    "test_cycle.py": "cycle",
    "test_attacks.py": "attacks",
    "test_sandbox.py": "attacks",
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each group of files to one worker, and every other test to whoever is free."""
    from xdist.scheduler import LoadScopeScheduling

    class Grouped(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return TOGETHER.get(nodeid.split("::")[0].rpartition("/")[2], nodeid)

    return Grouped(config, log)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Return the folder of the site, built from the sources as they are now: no earlier build is trusted."""
    import build_book

    if "PYTEST_XDIST_WORKER" in os.environ:  # its parent is one run's: no second worker comes here
        (tmp_path_factory.getbasetemp().parent / "site").touch(exist_ok=False)
    folder = tmp_path_factory.mktemp("site")
    status, output = build_book.build(output=folder)
    if status:
        pytest.fail(f"the book does not build:\n{output[-4000:]}", pytrace=False)
    return folder / "_build" / "html"


@pytest.fixture(scope="module")
def browser():
    """Return one Chromium for a test file.

    While it is open, playwright's event loop runs, and nothing else in this process can start one.
    """
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if chromium is None:
        pytest.skip(
            f"no Chromium: none of {', '.join(CHROMIUM_NAMES)} is on the path, and CHROMIUM is not set"
        )
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def tab(browser):
    """Return one tab, for all pages of a test file."""
    return browser.new_page(viewport={"width": 1280, "height": 900})


@pytest.fixture
def one_thread():
    """One torch thread: the same bits on every machine, and no waiting for other workers."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def graded(make, name, source, **flags):
    """A cell of an assignment in nbgrader's format; its id is its grade_id."""
    plain = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    return make(source, id=name, metadata={"nbgrader": {**plain, "grade_id": name, **flags}})


ANSWER = '''def square(z):
    """Square of `z`."""
    ### BEGIN SOLUTION
    # the product of z with itself, with the sign of zero mended
    return np.multiply(z, z) + 0.0 * np.zeros_like(z)
    ### END SOLUTION'''
TEST = """assert square(2.0) == 4.0, "the square of 2 is 4"

### BEGIN HIDDEN TESTS
import numpy as np

secret_inputs = np.array([-1.5, 1234567.0])
assert np.allclose(square(secret_inputs), [2.25, 1524155677489.0]), "wrong at large numbers"
### END HIDDEN TESTS"""
OPEN = """A product of two equal signs is positive, and zero stays zero, so no square is negative.

**Rubric (2 points).**

- 1: says that two equal signs give a positive product
- 1: does not forget the case of zero"""


@pytest.fixture
def demo():
    """The source of a small assignment: a problem in code with a hidden test, and an open question."""
    from nbformat.v4 import new_code_cell as code
    from nbformat.v4 import new_markdown_cell as text
    from nbformat.v4 import new_notebook

    import notebooks

    cells = [
        graded(text, "intro", "# Assignment: a demonstration\n\nTwo problems.", locked=True),
        graded(code, "setup", "import numpy as np", locked=True),
        graded(text, "p1-text", "## Problem 1 (3 points)\n\nWrite $z^2$ for `z`.", locked=True),
        graded(code, "p1", ANSWER, solution=True),
        graded(code, "p1-show", "print(square(3.0))", locked=True),
        graded(code, "p1-test", TEST, grade=True, locked=True, points=3),
        graded(text, "p2-text", "## Problem 2 (2 points)\n\nWhy is no square negative?", locked=True),
        graded(text, "p2", OPEN, solution=True, grade=True, points=2),
    ]
    about = {"assignment": "00_demo", "minutes": 10, "imports": ["numpy"]}
    kernel = {"kernelspec": notebooks.KERNELSPEC, "language_info": notebooks.LANGUAGE}
    return new_notebook(cells=cells, metadata={"selfgated": about, **kernel})


@pytest.fixture
def store_source(tmp_path):
    """Return a function that stores a source as ``solutions/NAME/NAME.ipynb`` below the test's own folder."""
    import notebooks

    def store(notebook, name="00_demo"):
        path = tmp_path / "solutions" / name / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(notebooks.serialise(notebook), encoding="utf-8", newline="\n")
        return path

    return store
