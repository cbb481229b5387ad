import gpu_notebooks
import nbformat
import pytest


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """Make a notebook of one cell the only one there is."""

    def notebook(source):
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, id="one")])
        path = tmp_path / "notebooks" / "09_signal_propagation.ipynb"
        path.parent.mkdir(exist_ok=True)
        nbformat.write(book, path)
        monkeypatch.setattr(gpu_notebooks, "find_notebooks", lambda: [path, path.with_name("02_swish.ipynb")])
        return path

    return notebook


def test_notebook_that_holds_is_left_as_it_is(notebook, capsys):
    path = notebook("assert 1 + 1 == 2")
    before = path.read_bytes()
    assert gpu_notebooks.main(["--device", "cpu"]) == 0
    assert "09_signal_propagation.ipynb  holds" in (shown := capsys.readouterr().out)
    assert shown.endswith("1 notebooks on the CPU, 0 failed\n")
    assert path.read_bytes() == before


def test_notebook_whose_assertion_fails_is_shown_and_fails(notebook, capsys):
    notebook("accuracy = 0.1\nassert accuracy > 0.5")
    assert gpu_notebooks.main(["--device", "cpu"]) == 1
    shown = capsys.readouterr().out
    assert "09_signal_propagation.ipynb  FAILS" in shown
    assert "AssertionError" in shown
    assert shown.endswith("1 notebooks on the CPU, 1 failed\n")


def test_without_cuda_it_says_so_and_fails(notebook, monkeypatch, capsys):
    notebook("raise SystemExit")
    monkeypatch.setattr(gpu_notebooks, "cuda_name", lambda: None)
    assert gpu_notebooks.main([]) == 2
    assert capsys.readouterr().out.startswith("no CUDA device is here, so nothing was tested")


def test_notebooks_learn_the_device_from_the_environment(notebook, monkeypatch, capsys):
    notebook("import os\nassert os.environ['SELFGATED_DEVICE'] == 'cuda'")
    monkeypatch.setattr(gpu_notebooks, "cuda_name", lambda: "a GPU")
    assert gpu_notebooks.main([]) == 0
    assert capsys.readouterr().out.endswith("1 notebooks on a GPU, 0 failed\n")
