"""The Ray engine on a real cluster: two nodes with all processes of a node, on the loopback."""

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid

import psutil
import pytest

from selfgated import sweep

pytest.importorskip("ray", reason="the extra selfgated[ray] is not installed")
MARK = "SELFGATED_TEST_CLUSTER"
UNITS = """
import os, time
import ray

HERE = os.path.dirname(__file__)


def square(config, seeds, device):
    node = ray.get_runtime_context().get_node_id()
    with open(os.path.join(HERE, "log"), "a") as file:
        file.write(f"{config['x']} {node}\\n")
    if node == open(os.path.join(HERE, "victim")).read():
        time.sleep(600)  # until the node is killed
    end = time.monotonic() + 60  # the other node waits, so that both have work
    while open(os.path.join(HERE, "victim")).read() not in open(os.path.join(HERE, "log")).read():
        assert time.monotonic() < end
        time.sleep(0.02)
    if config["x"] == 5:
        raise ValueError("no square of 5")
    threads = os.environ.get("OMP_NUM_THREADS")
    return [{"y": config["x"] ** 2 + seed / 3, "threads": threads} for seed in seeds]
"""
SCRIPT = """
import json, os, sys, threading, time
import psutil, ray
from ray.cluster_utils import Cluster
from selfgated import sweep

MARK = sys.argv[1]
NODE = {
    "num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": 80 * 2**20,
    "include_dashboard": False, "include_log_monitor": False, "no_monitor": True,
}


def listening():
    found = set()
    for process in psutil.Process().children(recursive=True) + [psutil.Process()]:
        try:
            found |= {c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
        except psutil.Error:
            continue
    return sorted(found)


def kill(cluster, node):
    while not (os.path.exists("log") and node.node_id in open("log").read()):
        time.sleep(0.02)
    answer["listening"] = listening()
    cluster.remove_node(node, allow_graceful=False)
    answer["killed"] = True


answer = {"killed": False}
cluster = Cluster(initialize_head=True, head_node_args=NODE)
try:
    victim = cluster.add_node(**NODE)
    open("victim", "w").write(victim.node_id)
    killer = threading.Thread(target=kill, args=(cluster, victim), daemon=True)
    killer.start()
    grid = [({"x": x}, (0, 1)) for x in range(10)]
    options = {"store": "store.sqlite", "engine": "ray", "address": cluster.address, "progress": False}
    try:
        sweep.run("ray_units:square", grid, **options)
    except sweep.SweepError as error:
        answer["error"] = str(error)
    killer.join(10)
    before = open("log").read().count("\\n")
    answer["rows"] = sweep.run("ray_units:square", [unit for unit in grid if unit[0]["x"] != 5], **options)
    answer["repeated"] = open("log").read().count("\\n") - before
    answer["nodes"] = sum(line.split()[1] == victim.node_id for line in open("log"))
finally:
    ray.shutdown()
    cluster.shutdown()
print(json.dumps(answer))
"""


def processes(mark):
    """Processes that have the mark in their environment, whoever their parent is by now."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def mark():
    """Word in the environment of all processes of a test, none of which outlives it."""
    word = uuid.uuid4().hex
    yield word
    for process in processes(word):
        process.kill()


@pytest.fixture
def short_folder():
    """Folder with a short name: the path of a socket has at most 107 characters."""
    with tempfile.TemporaryDirectory(prefix="sg", ignore_cleanup_errors=True) as folder:
        yield folder


def test_run_on_a_ray_cluster_survives_the_kill_of_a_node(tmp_path, short_folder, mark):
    (tmp_path / "ray_units.py").write_text(UNITS)
    environment = os.environ | {
        MARK: mark,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_raylet_start_wait_time_s": "60",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # its drivers, too, name this machine 127.0.0.1
        "RAY_TMPDIR": short_folder,
    }
    environment.pop("OMP_NUM_THREADS", None)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, mark],  # Ray's own warnings are not ours
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["killed"]
    assert answer["nodes"] >= 1
    assert set(answer["listening"]) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert "1 unit failed; 9 of 10 units are stored" in answer["error"]
    assert '{"x":5} seeds 0, 1: ValueError: no square of 5' in answer["error"]
    expected = [(x, seed, x**2 + seed / 3) for x in range(10) if x != 5 for seed in (0, 1)]
    assert [(row["x"], row["seed"], row["y"]) for row in answer["rows"]] == expected
    assert {row["threads"] for row in answer["rows"]} == {"1"}
    assert answer["repeated"] == 0
    patience = time.monotonic() + 15
    while processes(mark) and time.monotonic() < patience:
        time.sleep(0.1)
    assert processes(mark) == []


def test_run_without_ray_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(sweep.SweepError, match=r"needs Ray; install it with pip install 'selfgated\[ray\]'"):
        sweep.run("json:dumps", [({"x": 1}, (0,))], store=tmp_path / "store.sqlite", engine="ray")
