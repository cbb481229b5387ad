import contextlib
import http.server
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from selfgated import cli, data


def run(*argv):
    """(exit code, stdout, stderr) of the command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(["data", *argv])
    return code, out.getvalue(), err.getvalue()


def test_data_json_agrees_with_the_library():
    code, out, err = run("digits", "--json")
    info, digits = json.loads(out), data.load("digits")
    assert (code, err) == (0, "")
    assert info["label"] == "digits"
    assert info["train"]["shape"] == list(digits.x_train.shape)
    assert info["test"]["counts"] == np.bincount(digits.y_test).tolist()
    assert info["classes"] == list("0123456789")
    assert info["mean"] == pytest.approx(digits.mean.tolist(), abs=1e-6)
    assert info["std"] == pytest.approx(digits.std.tolist(), abs=1e-6)
    assert info["path"] is None


def test_data_text_names_every_class_and_where_a_folder_is_cached(tmp_path):
    for part, n in (("train", 3), ("test", 2)):
        for index in range(n):
            for name, value in (("dark", 10), ("bright", 200)):
                path = tmp_path / "tones" / part / name / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (4, 4), value).save(path)
    code, out, err = run(f"folder:{tmp_path / 'tones'}", "--cache", str(tmp_path / "cache"))
    assert code == 0
    assert out.splitlines()[0] == "tones"
    assert "6 images, shape (6, 1, 4, 4), uint8" in out
    assert [line.split() for line in out.splitlines()[4:6]] == [["bright", "3", "2"], ["dark", "3", "2"]]
    assert "mean    105.0000 " in out
    assert "std     95.0000 " in out
    assert next((tmp_path / "cache").rglob("decoded.bin")) == data.Path(out.splitlines()[-1].split()[1])
    assert "decode: 100%" in err


def test_data_bad_input_is_one_line_and_exit_code_2(tmp_path):
    for argv, message in (
        (["cifar"], "unknown data set 'cifar'; choose from ['digits', 'cifar10', "),
        ([f"folder:{tmp_path / 'none'}"], f"{tmp_path / 'none' / 'train'} cannot be read"),
        (["folder:"], "unknown data set 'folder:'"),
    ):
        code, out, err = run(*argv)
        assert (code, out) == (2, "")
        assert err.startswith(f"selfgated: {message}")
        assert err.count("\n") == 1


def test_data_package_missing_is_exit_code_1(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    code, _, err = run("digits")
    assert code == 1
    assert "sklearn" in err
    assert "selfgated doctor" in err


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_data_ctrl_c_during_a_download_is_exit_code_130_and_leaves_nothing(tmp_path):
    started, done = threading.Event(), threading.Event()

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(10**9))
            self.end_headers()
            self.wfile.write(bytes(200_000))
            self.wfile.flush()
            started.set()
            done.wait(30)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        environment = os.environ | {
            "SELFGATED_CIFAR10_URL": f"http://127.0.0.1:{server.server_port}",
            "SELFGATED_CACHE": str(tmp_path / "cache"),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        command = [sys.executable, "-m", "selfgated", "data", "cifar10"]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        assert started.wait(30)
        while not any(path.is_file() and path.stat().st_size for path in (tmp_path / "cache").rglob("*")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        done.set()
        server.shutdown()
        thread.join()
    assert process.returncode == 130
    assert err.endswith("selfgated: interrupted\n")
    assert "Traceback" not in err
    assert list((tmp_path / "cache").iterdir()) == []
