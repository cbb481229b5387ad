"""The sandbox: what is seen inside, what its limits do, and that it always ends."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from selfgated.grading.sandbox import (
    Limits,
    Sandbox,
    SandboxFailure,
    Stopped,
    command,
    find_sandbox,
    packages,
    process,
    seccomp,
    tree,
)
from selfgated.grading.sandbox.tree import Meter, Usage, usage

SMALL = Limits(cpu=0.5, idle=0.5, memory=300 * 2**20, processes=12)
needs_bubblewrap = pytest.mark.skipif(find_sandbox() == "none", reason="bubblewrap cannot run here")


@pytest.fixture
def sandbox():
    with Sandbox("bubblewrap", ["numpy"], SMALL, slot=90) as running:
        yield running


def cell(sandbox, code):
    """What a cell prints; what it raised is an AssertionError here."""
    reply = sandbox.ask({"do": "cell", "code": textwrap.dedent(code)})
    assert reply["ok"], reply["error"]
    return "".join(output.get("text", "") for output in reply["outputs"])


def alive(number):
    """Whether a process runs (and is no zombie)."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(numbers, seconds=5):
    end = time.monotonic() + seconds
    while any(map(alive, numbers)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(alive, numbers))


def test_find_sandbox_without_bubblewrap_says_none(monkeypatch):
    monkeypatch.setattr(command.shutil, "which", lambda name, **_: None)
    assert command.find_sandbox.__wrapped__() == "none"


def test_sandbox_of_unknown_kind_names_the_choices():
    with pytest.raises(ValueError, match=r"unknown sandbox 'docker'; choose from \['bubblewrap', 'none'\]"):
        Sandbox("docker", ["numpy"], SMALL)


@needs_bubblewrap
def test_sandbox_shows_nothing_of_the_machine(sandbox, monkeypatch):
    seen = cell(
        sandbox,
        """
        import getpass, os, socket, sys
        print(sorted(os.environ.items()), os.listdir("/home"), sys.path)
        print(socket.gethostname(), getpass.getuser())
        for folder, _, files in os.walk('/'):
            if not folder.startswith(('/usr', '/python', '/packages', '/dev')):
                print(folder, files)
        """,
    )
    here = Path(__file__).resolve().parents[1]
    machine = {os.uname().nodename, str(here), str(Path.home()), *os.environ.get("VIRTUAL_ENV", "").split()}
    assert not [word for word in machine if len(word) > 2 and word in seen]
    assert "sandbox student" in seen
    names = eval(cell(sandbox, "print(sorted(os.environ))"))
    assert set(names) - {"PWD", "LC_CTYPE"} == set(command.environment())


@needs_bubblewrap
def test_sandbox_has_the_allowed_packages_only(sandbox):
    entries, hidden = packages.visible(("numpy",))
    assert {"numpy", "IPython", "matplotlib"} <= set(entries)
    assert not {"torch", "scipy", "sympy", "sklearn", "selfgated", "nbgrader"} & set(entries)
    assert hidden == ()
    assert set(eval(cell(sandbox, "import os; print(os.listdir('/packages'))"))) == set(entries)
    assert cell(sandbox, "import numpy; print(numpy.arange(3).sum())") == "3\n"


def test_visible_hides_what_comes_with_torch_only():
    assert packages.visible(("torch",))[1] == ("sympy", "mpmath", "networkx")
    assert packages.visible(("torch", "sympy"))[1] == ("mpmath", "networkx")
    assert "scipy" in packages.visible(("sklearn",))[0]
    with pytest.raises(ValueError, match="'no_such_package', which is not installed"):
        packages.visible(("no_such_package",))


@needs_bubblewrap
def test_stand_in_checks_do_nothing_and_the_library_is_not_there(sandbox):
    code = """
        from selfgated.checks import swish as check
        import selfgated.checks.gelu as other
        from selfgated.checks.mish import slope
        print(check.slope(7), other.anything.at_all(1, a=2), slope())
        """
    assert cell(sandbox, code) == "None None None\n"
    for line in ("import selfgated.kernels", "from selfgated import kernels", "import scipy.special"):
        reply = sandbox.ask({"do": "cell", "code": line})
        assert "this assignment does not allow" in reply["error"]["message"], line
        assert "it allows numpy, selfgated.checks" in reply["error"]["message"], line


@needs_bubblewrap
def test_import_that_may_fail_may_still_be_caught(sandbox):
    code = "try:\n    import torch\nexcept ImportError as error:\n    print(error.name)\n"
    assert cell(sandbox, code) == "torch\n"


@needs_bubblewrap
@pytest.mark.skipif(os.geteuid() != 0, reason="users per slot need root")
def test_sandbox_runs_as_a_user_of_its_own_without_capabilities(sandbox):
    inside = usage(sandbox.process.pid).processes[-1]
    status = Path(f"/proc/{inside}/status").read_text()
    user = int(re.search(r"^Uid:\s+(\d+)", status, re.MULTILINE)[1])
    assert user >= command.FIRST_UID
    assert re.search(rf"^Uid:(\s+{user}){{4}}$", status, re.MULTILINE)
    for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"):
        assert re.search(rf"^Cap{kind}:\s+0+$", status, re.MULTILINE), kind
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\s+2$", status, re.MULTILINE)


@needs_bubblewrap
def test_number_of_processes_is_held(sandbox):
    code = """
        import subprocess
        started = []
        try:
            for _ in range(15):
                started.append(subprocess.Popen(['sleep', '60']))
        except OSError:
            pass
        print(len(started))
        """
    assert 0 < int(cell(sandbox, code)) < 12


@needs_bubblewrap
def test_memory_limit_stops_the_sandbox_and_says_so():
    limits = replace(SMALL, cpu=20.0)  # taking memory costs CPU time as well, on some machines 0.5 s of it
    with Sandbox("bubblewrap", ["numpy"], limits, slot=92) as running:
        numbers = usage(running.process.pid).processes
        with pytest.raises(Stopped, match="used more than 300 MB of memory") as caught:
            running.ask({"do": "cell", "code": "x = [bytes(10**6) + b'x' for _ in range(10**4)]"})
    assert caught.value.status == "killed"
    assert gone(numbers)


@needs_bubblewrap
@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("while True: pass", "timeout", "used more than 0.5 s of CPU time"),
        ("import time; time.sleep(60)", "timeout", "waited for more than 0.5 s"),
        ("import os; os._exit(3)", "killed", "ended its process with the exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "killed", "ended its process by the signal SIGKILL"),
    ],
)
def test_limit_stops_the_sandbox_and_says_which(sandbox, code, status, reason):
    numbers = usage(sandbox.process.pid).processes
    with pytest.raises(Stopped, match=reason) as caught:
        sandbox.ask({"do": "cell", "code": code})
    assert caught.value.status == status
    assert gone(numbers)


@needs_bubblewrap
def test_usage_is_the_same_where_the_kernel_lists_no_children(sandbox, monkeypatch):
    cell(sandbox, "import subprocess; left = [subprocess.Popen(['sleep', '60']) for _ in range(3)]")
    listed = usage(sandbox.process.pid)
    monkeypatch.setattr(tree, "LISTS_CHILDREN", False)
    scanned = usage(sandbox.process.pid)
    assert len(listed.processes) == 6
    assert set(scanned.processes) == set(listed.processes)
    assert scanned.memory > 20e6


@needs_bubblewrap
def test_close_ends_daemons(sandbox):
    code = """
        import os, time
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    time.sleep(600)
                os._exit(0)
        time.sleep(0.2)
        """
    cell(sandbox, code)
    numbers = usage(sandbox.process.pid).processes
    assert len(numbers) >= 6
    sandbox.close()
    assert not any(map(alive, numbers))


def test_claimed_user_is_not_given_twice():
    first, lock = command.claimed(92)
    second, other = command.claimed(92)
    assert first != second
    lock.close()
    third, again = command.claimed(92)
    other.close()
    again.close()
    assert third == first


@needs_bubblewrap
def test_killed_grader_leaves_no_process():
    code = """
        import sys, time
        from selfgated.grading.sandbox import Limits, Sandbox
        from selfgated.grading.sandbox.tree import usage
        box = Sandbox("bubblewrap", ["numpy"], Limits(), slot=91)
        box.ask({"do": "cell", "code": "import subprocess; x = subprocess.Popen(['sleep', '600'])"})
        print(*usage(box.process.pid).processes, flush=True)
        time.sleep(600)
        """
    grader = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    numbers = list(map(int, grader.stdout.readline().split()))
    assert len(numbers) >= 4
    assert all(map(alive, numbers))
    grader.send_signal(signal.SIGKILL)
    grader.communicate()
    assert gone(numbers)


@needs_bubblewrap
def test_replies_of_other_requests_are_dropped(sandbox):
    forge = """
        import json, os, sys, threading
        frame = sys._current_frames()[threading.main_thread().ident]
        def forged(z):
            frame = sys._getframe()
            while frame.f_code.co_name != 'serve':
                frame = frame.f_back
            body = json.dumps({'id': 'another', 'ok': True, 'value': 99}).encode()
            os.write(frame.f_locals['self'].replies, len(body).to_bytes(4, 'big') + body)
            return z
        """
    cell(sandbox, forge)
    for number in range(3):
        reply = sandbox.ask({"do": "call", "name": "forged", "given": [number], "names": []})
        assert reply["value"] == number


@needs_bubblewrap
def test_random_numbers_are_the_same_for_all(sandbox):
    code = "import numpy as np, random; print(np.random.rand(), random.random(), hash('text'))"
    ask = {"do": "cell", "code": code}
    first = sandbox.ask(ask, seed=3)["outputs"]
    sandbox.ask({"do": "cell", "code": "np.random.rand(7)"})
    assert sandbox.ask(ask, seed=3)["outputs"] == first
    assert sandbox.ask(ask, seed=4)["outputs"] != first


@needs_bubblewrap
def test_sandbox_that_cannot_start_is_nobodys_zero(monkeypatch):
    monkeypatch.setattr(command, "bubblewrap", lambda *_, **__: ["/bin/sh", "-c", "echo broken >&2; exit 1"])
    with pytest.raises(SandboxFailure, match=r"could not be started.*exit code 1.*broken"):
        Sandbox("bubblewrap", ["numpy"], SMALL)
    assert not issubclass(SandboxFailure, Exception)  # a test would take it for the student's


class _Running:
    """A sandbox for the watchdog alone."""

    limits, scratch, usage, slept, meter = SMALL, (), Usage(), 0.0, Meter(0)


@pytest.mark.parametrize(("busy", "cpu"), [(True, 0.0), (False, 0.04)])
def test_watchdog_is_patient_with_work_on_a_loaded_machine(monkeypatch, busy, cpu):
    clock, used = [0.0], [0.0]
    monkeypatch.setattr(process.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(process.Meter, "look", lambda *_: Usage(cpu=used[0], busy=busy))
    watch = process._Watch(_Running(), cpu=2.0, idle=0.5)
    for _ in range(40):  # two seconds of wall time, four times the limit of sleep
        clock[0] += 0.05
        used[0] += cpu
        watch.look()


def test_watchdog_counts_sleep_only_when_nothing_wants_to_run(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(process.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(process.Meter, "look", lambda *_: Usage(cpu=0.0, busy=False))
    watch = process._Watch(_Running(), cpu=2.0, idle=0.5)
    for _ in range(10):
        clock[0] += 0.05
        watch.look()
    clock[0] += 0.05
    with pytest.raises(Stopped, match=r"waited for more than 0.5 s"):
        watch.look()


def test_without_a_sandbox_limits_and_allowed_packages_remain():
    with Sandbox("none", ["numpy"], Limits(cpu=0.5, idle=2.0)) as bare:
        assert cell(bare, "import numpy; print(numpy.arange(3).sum())") == "3\n"
        reply = bare.ask({"do": "cell", "code": "import scipy"})
        assert reply["error"]["message"].startswith("this assignment does not allow scipy")
        cell(bare, "import resource as r; assert r.getrlimit(r.RLIMIT_AS)[0] == 2 << 30")
        with pytest.raises(Stopped, match="CPU time"):
            bare.ask({"do": "cell", "code": "while True: pass"})
        folder = (
            Path(bare._closing._exit_callbacks[0][1].__self__.name) if bare._closing._exit_callbacks else None
        )
    assert folder is None or not folder.exists()


@pytest.mark.parametrize(
    ("machine", "header"),
    [
        ("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        ("aarch64", "/usr/include/asm-generic/unistd.h"),
    ],
)
def test_seccomp_numbers_are_those_of_the_kernels_headers(machine, header):
    if not Path(header).exists():
        pytest.skip("the headers of the kernel are not installed")
    lines = re.findall(r"#define __NR(?:3264)?_?(\w+)\s+(\d+)", Path(header).read_text())
    numbers, column = {name: int(number) for name, number in lines}, seccomp.MACHINES[machine][1]
    table = seccomp.REFUSED | {"clone": seccomp.CLONE, "clone3": seccomp.CLONE3, "mmap": seccomp.MMAP}
    assert {name: numbers[name] for name in table} == {name: row[column] for name, row in table.items()}


def test_seccomp_has_no_filter_for_an_unknown_machine():
    assert seccomp.program("vax") is None
    assert len(seccomp.program("x86_64")) % 8 == 0
