import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from selfgated import sweep

UNITS = """
import os, time
from pathlib import Path

HERE = Path(__file__).parent


def log(config, seeds, word):
    line = f"{word} {config['x']} {','.join(map(str, seeds))} {os.getpid()}\\n"
    with open(HERE / "log", "a") as file:
        file.write(line)


def square(config, seeds, device):
    log(config, seeds, "begin")
    time.sleep(config.get("seconds", 0))
    if (HERE / f"raise-{config['x']}").exists():
        raise ValueError(f"no square of {config['x']}")
    if (HERE / f"die-{config['x']}").exists():
        os.kill(os.getpid(), 9)
    once = HERE / f"die-once-{config['x']}"
    if once.exists():
        once.unlink()
        os.kill(os.getpid(), 9)
    print("printed by a unit")
    log(config, seeds, "end")
    return [{"y": config["x"] ** 2 + seed / 3} for seed in seeds]


def threads(config, seeds, device):
    return [{"threads": os.environ.get("OMP_NUM_THREADS"), "pid": os.getpid(), "device": device}]


def answer(config, seeds, device):
    return eval(config["code"])


def interrupt(config, seeds, device):
    if config["x"] == 2:
        raise KeyboardInterrupt
    return [{"y": 0} for _ in seeds]
"""
FUNCTION = "sweep_units:square"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Folder with the module of unit functions, which workers find as this process does."""
    (tmp_path / "sweep_units.py").write_text(UNITS)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("sweep_units", None)


def units(n, *, seeds=(0, 1), **extra):
    return [({"x": x, **extra}, seeds) for x in range(n)]


def table(n, seeds=(0, 1), **extra):
    return [{"x": x, **extra, "seed": seed, "y": x**2 + seed / 3} for x in range(n) for seed in seeds]


def run(here, grid, **options):
    options = {"store": here / "store.sqlite", "workers": 0, "progress": False} | options
    return sweep.run(options.pop("function", FUNCTION), grid, **options)


def log(here, word="begin"):
    """(x, seeds, pid) of every execution that reached the word."""
    lines = (here / "log").read_text().splitlines() if (here / "log").exists() else []
    return [tuple(line.split()[1:]) for line in lines if line.startswith(word)]


def stored(here):
    """(function, x, seed) of every row, as SQLite has them without the library."""
    with contextlib.closing(sqlite3.connect(here / "store.sqlite", timeout=30)) as connection:
        rows = connection.execute("SELECT function, config, seed FROM rows").fetchall()
    return {(function, json.loads(config)["x"], seed) for function, config, seed in rows}


def test_grid_crosses_lists_and_keeps_single_values():
    assert sweep.grid(act=["relu", "silu"], depth=(8, 16), data="digits") == [
        {"act": "relu", "depth": 8, "data": "digits"},
        {"act": "relu", "depth": 16, "data": "digits"},
        {"act": "silu", "depth": 8, "data": "digits"},
        {"act": "silu", "depth": 16, "data": "digits"},
    ]
    with pytest.raises(ValueError, match=r"depth=\[\] leaves no configuration"):
        sweep.grid(act="relu", depth=[])


def test_normalise_key_depends_on_values_not_on_order():
    one, two, three = sweep.normalise(
        [({"a": 1, "b": (2, 3)}, [0]), ({"b": [2, 3], "a": 1}, [1]), ({"a": 1, "b": [3, 2]}, [0])]
    )
    assert one.key == two.key != three.key
    assert one.config == {"a": 1, "b": [2, 3]}


@pytest.mark.parametrize(
    ("unit", "error", "message"),
    [
        ((["relu"], [0]), TypeError, r"a configuration is a dict, not \['relu'\]"),
        (({"seed": 1}, [0]), ValueError, "cannot name 'seed'"),
        (({1: 2}, [0]), TypeError, "names in a configuration are text, not 1"),
        (({"a": {"b": [{2: 3}]}}, [0]), TypeError, "names in a configuration are text, not 2"),
        (({"a": {1, 2}}, [0]), TypeError, r"made of JSON values, and \{'a': \{1, 2\}\} is not"),
        (({"a": float("nan")}, [0]), ValueError, "finite: {'a': nan}"),
        (({"a": 1}, []), ValueError, 'no seeds are given for {"a":1}'),
        (({"a": 1}, [0.5]), TypeError, "seeds are integers, not 0.5"),
        (({"a": 1}, [True]), TypeError, "seeds are integers, not True"),
        (({"a": 1}, [-1]), ValueError, "this one is -1"),
        (({"a": 1}, [2**63]), ValueError, "this one is 9223372036854775808"),
        (({"a": 1}, [3, 3]), ValueError, 'name seed 3 of {"a":1} twice'),
    ],
)
def test_run_bad_unit_is_refused_before_anything_runs(here, unit, error, message):
    with pytest.raises(error, match=message):
        run(here, [({"x": 1}, [0]), unit])
    assert log(here) == []
    assert not (here / "store.sqlite").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "slurm"}, r"unknown engine 'slurm'; choose from \['local', 'ray'\]"),
        ({"address": "127.0.0.1:1"}, "is for engine='ray'"),
        ({"workers": -1}, "workers is a whole number, 0 or more, not -1"),
        ({"workers": 1.5}, "not 1.5"),
        ({"retries": None}, "retries is a whole number"),
        ({"function": "sweep_units"}, "named 'package.module:function', not 'sweep_units'"),
        ({"function": "sweep_unit:square"}, "there is no module 'sweep_unit'"),
        ({"function": "sweep_units:sqare"}, "has no function 'sqare'"),
    ],
)
def test_run_bad_argument_names_the_value(here, options, message):
    with pytest.raises(ValueError, match=message):
        run(here, units(1), **options)


@pytest.mark.parametrize("workers", [0, 2])
def test_run_returns_rows_in_the_order_of_the_units(here, workers):
    grid = [({"x": x, "seconds": 0.1 * (x == 0)}, (1, 0)) for x in range(4)]
    rows = run(here, grid, workers=workers)
    assert [(row["x"], row["seed"]) for row in rows] == [(x, seed) for x in range(4) for seed in (1, 0)]
    assert [row["y"] for row in rows] == [x**2 + seed / 3 for x in range(4) for seed in (1, 0)]
    if workers:
        assert [end[0] for end in log(here, "end")][-1] != "3"  # so the order is not that of finishing
        assert len({pid for *_, pid in log(here)} - {str(os.getpid())}) == 2


def test_run_second_start_and_larger_grid_run_only_what_is_new(here):
    first = run(here, units(3))
    assert run(here, units(3)) == first == table(3)
    assert len(log(here)) == 3
    assert run(here, units(5)[::-1]) == [row for x in range(5)[::-1] for row in table(5)[2 * x : 2 * x + 2]]
    assert [x for x, *_ in log(here)[3:]] == ["4", "3"]
    assert run(here, units(2, seeds=(2, 1, 0))) == table(2, seeds=(2, 1, 0))
    assert [call[:2] for call in log(here)[5:]] == [("0", "2"), ("1", "2")]


def test_run_version_and_function_keep_rows_apart(here):
    run(here, units(2), version="one")
    run(here, units(2), version="two")
    assert len(log(here)) == 4
    with sweep.Store(here / "store.sqlite") as store:
        assert store.ignored(FUNCTION, "two") == 4
        assert store.ignored("sweep_units:other", "two") == 0


def test_run_worker_has_one_thread_and_passes_the_device_on(here):
    (row,) = run(here, [({"x": 0}, (0,))], workers=1, device="cuda:1", function="sweep_units:threads")
    assert (row["threads"], row["device"]) == ("1", "cuda:1")
    assert row["pid"] != os.getpid()


def test_run_unit_that_raises_does_not_stop_the_others_and_is_tried_again(here):
    (here / "raise-1").touch()
    for attempt in range(2):
        with pytest.raises(sweep.SweepError, match="1 unit failed; 3 of 4 units are stored") as caught:
            run(here, units(4), workers=2 * attempt)
        (failure,) = caught.value.failures
        assert (failure.unit.config, failure.unit.seeds) == ({"x": 1}, (0, 1))
        assert failure.error == "ValueError: no square of 1"
        assert '{"x":1} seeds 0, 1: ValueError: no square of 1' in str(caught.value)
        assert 'raise ValueError(f"no square of {config[' in str(caught.value)
        with sweep.Store(here / "store.sqlite") as store:
            (kept,) = store.failures(FUNCTION, "")
        assert (kept["config"], kept["seeds"], kept["error"]) == ({"x": 1}, [0, 1], failure.error)
        assert "sweep_units.py" in kept["traceback"]
    assert sorted(x for x, *_ in log(here)) == ["0", "1", "1", "2", "3"]
    (here / "raise-1").unlink()
    assert run(here, units(4)) == table(4)
    with sweep.Store(here / "store.sqlite") as store:
        assert store.failures(FUNCTION, "") == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("None", "returns a list of one dict for each of 2 seeds, not a NoneType"),
        ("[{}]", "not 1 rows"),
        ("[1, 2]", "a unit function returns dicts, not 1"),
        ("[{'y': {1}}] * 2", "rows are made of JSON values, not of set"),
        ("[{'y': 1, 'seed': 7}] * 2", "the row says seed = 7, its unit seed = 0"),
        ("[{'code': ''}] * 2", "the row says code = ''"),
        ("exit(3)", "SystemExit: 3"),
    ],
)
def test_run_bad_answer_of_a_unit_is_its_failure(here, code, message):
    with pytest.raises(sweep.SweepError) as caught:
        run(here, [({"code": code}, (0, 1))], function="sweep_units:answer")
    assert message in caught.value.failures[0].error


def test_run_keeps_every_digit_and_what_is_not_a_number(here):
    code = "[{'third': 1 / 3, 'inf': -float('inf'), 'np': __import__('numpy').float32([0.1, 2]), 's': 'é'}]"
    for workers in (1, 0):  # the second reads what the first has stored
        (row,) = run(here, [({"code": code}, (0,))], workers=workers, function="sweep_units:answer")
        assert row["third"] == 1 / 3
        assert row["inf"] == -float("inf")
        assert row["np"] == [0.10000000149011612, 2.0]
        assert row["s"] == "é"


def test_run_worker_that_dies_once_costs_nothing(here):
    (here / "die-once-1").touch()
    assert run(here, units(4), workers=2) == table(4)
    assert sorted(x for x, *_ in log(here)) == ["0", "1", "1", "2", "3"]


def test_run_unit_that_kills_its_worker_is_reported_by_name(here):
    (here / "die-1").touch()
    with pytest.raises(sweep.SweepError, match="3 of 4 units are stored") as caught:
        run(here, units(4), workers=2, retries=1)
    (failure,) = caught.value.failures
    assert failure.unit.config == {"x": 1}
    assert failure.error == "its worker process died 2 times, at last killed by SIGKILL"
    assert [x for x, *_ in log(here)].count("1") == 2
    (here / "die-1").unlink()
    assert run(here, units(4), workers=2) == table(4)


def test_run_worker_killed_from_outside_in_the_middle_of_a_large_unit(here):
    """The unit waits for its killer, so the kill is never early or late."""
    script = f"""
import os, signal, threading, time
from pathlib import Path
from selfgated import sweep
def kill():
    log = Path("log")
    while not (log.exists() and "begin 2" in log.read_text()):
        time.sleep(0.01)
    pid = next(line.split()[3] for line in log.read_text().splitlines() if line.startswith("begin 2"))
    os.kill(int(pid), signal.SIGKILL)
threading.Thread(target=kill).start()
rows = sweep.run({FUNCTION!r}, [({{"x": x, "seconds": 0.2}}, (0, 1)) for x in range(4)], store="store.sqlite",
                 workers=2, progress=False)
print(sum(row["y"] for row in rows))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=here, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) == sum(row["y"] for row in table(4))
    assert [x for x, *_ in log(here)].count("2") == 2


def test_run_workers_that_do_not_start_are_one_error(here, monkeypatch):
    monkeypatch.setattr("selfgated.sweep.local.BOOTSTRAP", "raise SystemExit(7)")
    with pytest.raises(sweep.SweepError, match="do not start: with exit code 7"):
        run(here, units(4), workers=2)


SCRIPT = """
import sys
from selfgated import sweep
grid = [({"x": x, "seconds": 0.08}, (0, 1)) for x in range(12)]
sweep.run("sweep_units:square", grid, store="store.sqlite", workers=int(sys.argv[1]), progress=False)
"""


def is_alive(pid):
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("workers", [0, 2])
def test_run_killed_at_random_moments_gives_the_same_table(here, workers):
    moments, kills = random.Random(20 + workers), 0
    for start in range(60):
        before, calls = stored(here) if (here / "store.sqlite").exists() else set(), len(log(here))
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(workers)], cwd=here)
        while process.poll() is None and len(log(here)) == calls and start % 3:
            time.sleep(0.005)  # two of three kills fall into the work, one may fall into the start
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moments.uniform(0, 0.4))
        process.kill()
        code = process.wait()
        for *_, pid in log(here)[calls:]:  # a worker notices that nobody reads its rows
            patience = time.monotonic() + 10
            while is_alive(pid) and time.monotonic() < patience:
                time.sleep(0.01)
            assert not is_alive(pid)
        again = {int(x) for x, *_ in log(here)[calls:]}
        assert again.isdisjoint(x for _, x, _ in before)
        if code == 0:
            break
        kills += code == -signal.SIGKILL
        assert code == -signal.SIGKILL
    assert code == 0
    assert kills >= 2
    calls = len(log(here))
    rows = run(here, units(12, seconds=0.08))
    assert len(log(here)) == calls
    assert rows == table(12, seconds=0.08)
    assert rows == run(here, units(12, seconds=0.08), store=here / "uninterrupted.sqlite", workers=2)
    assert len(stored(here)) == 24


def test_run_ctrl_c_says_how_much_is_done(here):
    script = SCRIPT.replace("0.08", "0.3").replace("\nsweep.run", "\ntry: sweep.run") + (
        "except KeyboardInterrupt as stop: print(type(stop).__name__, stop)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, "2"],
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (here / "store.sqlite").exists() or not stored_if_there(here):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the whole group
    out, err = process.communicate(timeout=20)
    done = len(stored(here)) // 2
    assert (
        out
        == f"Interrupted stopped: {done} of 12 units are stored in store.sqlite; start it again to go on\n"
    )
    assert "Traceback" not in err
    assert not any(is_alive(pid) for *_, pid in log(here))


def stored_if_there(here):
    try:
        return stored(here)
    except sqlite3.OperationalError:  # the file is there, its tables are not yet
        return set()


def test_run_ctrl_c_in_this_process_keeps_what_was_done(here):
    with pytest.raises(sweep.Interrupted, match="stopped: 2 of 4 units are stored"):
        run(here, units(4), function="sweep_units:interrupt")
    assert {x for _, x, _ in stored(here)} == {0, 1}


def test_run_max_seconds_begins_no_unit_and_the_next_start_goes_on(here):
    with pytest.raises(sweep.Unfinished, match="time is over: 0 of 3 units are stored"):
        run(here, units(3), max_seconds=0)
    with pytest.raises(sweep.Unfinished, match="time is over: 1 of 3 units are stored"):
        run(here, units(3, seconds=1), max_seconds=0.8)
    assert run(here, units(3, seconds=1), max_seconds=60) == table(3, seconds=1)


def test_store_in_use_by_another_process_is_a_clear_error(here):
    script = (
        "from selfgated import sweep\nwith sweep.Store('store.sqlite'): print('open', flush=True); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], cwd=here, text=True, **pipes) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(sweep.StoreError, match=r"store\.sqlite is in use by another sweep"):
            run(here, units(2))
        other.kill()
    assert run(here, units(2)) == table(2)


def test_store_is_had_by_the_first_while_a_second_is_still_asking(here):
    with contextlib.closing(sqlite3.connect(here / "store.sqlite.lock", isolation_level=None)) as second:
        second.execute("BEGIN")  # and a read lock, the first step of asking
        second.execute("SELECT count(*) FROM sqlite_master").fetchone()
        with (
            sweep.Store(here / "store.sqlite"),
            pytest.raises(sweep.StoreError, match="in use by another sweep"),
        ):
            sweep.Store(here / "store.sqlite")


def test_store_two_sweeps_at_once_store_every_row_once(here):
    command = [sys.executable, "-c", SCRIPT, "1"]
    both = [subprocess.Popen(command, cwd=here, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1]
    assert sum("is in use by another sweep" in error for error in errors) == 1
    assert len(log(here)) == 12


@pytest.mark.parametrize("how", ["text", "cut", "header", "page", "digit", "other", "version", "folder"])
def test_store_damaged_or_foreign_is_refused_and_left_alone(here, how):
    path = here / "store.sqlite"
    run(here, units(40))
    content = path.read_bytes()
    if how == "text":
        path.write_bytes(b"act,depth\nrelu,8\n" * 100)
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "header":
        path.write_bytes(b"x" * 100 + content[100:])
    elif how == "page":  # one that no row is read from
        with contextlib.closing(sqlite3.connect(path)) as connection:
            query = "SELECT rootpage FROM sqlite_master WHERE name='failures'"
            at = 4096 * (connection.execute(query).fetchone()[0] - 1)
        path.write_bytes(content[:at] + b"\xff" * 4096 + content[at + 4096 :])
    elif how == "digit":
        assert content.count(b'{"y": 1521.0}') == 1
        path.write_bytes(content.replace(b'{"y": 1521.0}', b'{"y": 1520.0}'))
    elif how == "folder":
        path.unlink()
        path.mkdir()
    else:
        if how == "other":
            path.unlink()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE mine (a)" if how == "other" else "PRAGMA user_version=2")
            connection.commit()
    message = {
        "other": "not the store of a sweep",
        "version": "is a store of version 2, and this library reads version 1",
        "folder": "is not a file",
    }.get(how, "damaged")
    before = None if how == "folder" else path.read_bytes()
    with pytest.raises(sweep.StoreError, match=message):
        run(here, units(40))
    assert how == "folder" or path.read_bytes() == before
    assert len(log(here)) == 40


def test_store_without_its_folder_names_it(here):
    with pytest.raises(sweep.StoreError, match=r"there is no folder '.*missing'; make it first"):
        run(here, units(1), store=here / "missing" / "store.sqlite")


@pytest.mark.parametrize("workers", [0, 2])
def test_store_on_a_full_disk_is_a_clear_error_and_keeps_what_was_stored(here, monkeypatch, workers):
    run(here, units(20))
    connect = sqlite3.connect

    def connect_small(*args, **options):
        connection = connect(*args, **options)
        connection.execute("PRAGMA max_page_count = 6")  # SQLite's own simulation of a full disk
        return connection

    monkeypatch.setattr("selfgated.sweep.store.sqlite3.connect", connect_small)
    with pytest.raises(sweep.StoreError, match=r"cannot be written: database or disk is full"):
        run(here, units(80), workers=workers)
    monkeypatch.undo()
    done = len(stored(here)) // 2
    assert 20 <= done < 80
    monkeypatch.syspath_prepend(here)
    assert run(here, units(80)) == table(80)


def test_store_that_is_read_only_is_a_clear_error(here, monkeypatch):
    run(here, units(2))
    connect = sqlite3.connect

    def connect_to_read(path, **options):
        read_only = str(path).endswith(".lock") is False
        return connect(f"file:{path}?mode=ro" if read_only else path, uri=read_only, **options)

    monkeypatch.setattr("selfgated.sweep.store.sqlite3.connect", connect_to_read)
    assert run(here, units(2)) == table(2)
    with pytest.raises(sweep.StoreError, match="cannot be written: attempt to write a readonly database"):
        run(here, units(3))


def test_store_adds_up_seconds_over_starts(here):
    run(here, units(2, seconds=0.05))
    with sweep.Store(here / "store.sqlite") as store:
        first = store.spent(FUNCTION, "")
    run(here, units(3, seconds=0.05))
    run(here, units(3, seconds=0.05))  # has nothing to do, so it is no start
    with sweep.Store(here / "store.sqlite") as store:
        second = store.spent(FUNCTION, "")
    assert (first.starts, second.starts) == (1, 2)
    assert 0.1 < first.wall_seconds < first.wall_seconds + 0.05 < second.wall_seconds < 5
    assert 0 < first.cpu_seconds < second.cpu_seconds < 0.15


def test_run_shows_a_bar_over_the_units(here, capsys):
    run(here, units(3))
    run(here, units(4), progress=True)
    assert "3/4" in (shown := capsys.readouterr().err)
    assert "4/4" in shown


def test_sweep_imports_neither_torch_nor_ray():
    code = "import sys, selfgated.sweep; print({'torch', 'ray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_run_refuses_a_function_that_no_worker_could_import(tmp_path):
    with pytest.raises(TypeError, match=r"function is the text 'package.module:function', not <built-in"):
        sweep.run(len, [({"x": 1}, [0])], store=tmp_path / "store.db")
