"""The command line that starts the sandbox."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from selfgated.grading.sandbox.packages import interpreter, visible

INSIDE = Path(__file__).resolve().parents[1] / "inside"
HOME = "/home/student"
FIRST_UID = 70_000
TOOLS = (
    "bash",
    "cat",
    "date",
    "echo",
    "env",
    "false",
    "grep",
    "head",
    "id",
    "ls",
    "pwd",
    "sh",
    "sleep",
    "tail",
)
CPU_FACTS = "/proc/cpuinfo"  # torch chooses its kernels by them


@cache
def find_sandbox():
    """Return which sandbox this machine has.

    Returns
    -------
    str
        ``"bubblewrap"``, or ``"none"``: then student code runs with limits only, and can see and change
        what the instructor can. Nothing is graded so unless the caller asks for ``"none"`` by name.
    """
    if not sys.platform.startswith("linux") or shutil.which("bwrap") is None:
        return "none"
    if shutil.which("prlimit") is None or (os.geteuid() == 0 and shutil.which("setpriv") is None):
        return "none"
    command = ["bwrap", *namespaces(FIRST_UID), "--ro-bind", "/", "/", "--", "/bin/sh", "-c", ":"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return "none"
    return "bubblewrap" if done.returncode == 0 else "none"


def environment():
    """Return the whole environment of the student's process: nothing of the host's."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return threads | {
        "HOME": HOME,
        "LANG": "C.UTF-8",
        "LD_LIBRARY_PATH": "/python/lib",
        "LOGNAME": "student",
        "MPLBACKEND": "agg",
        "PATH": "/usr/bin",
        "PYTHONPATH": "/agent",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "TERM": "dumb",
        "TMPDIR": "/tmp",
        "TZ": "UTC",
        "USER": "student",
    }


def claimed(slot):
    """Return a user id that no other grader on this machine uses now, and the socket that holds it.

    The limit on processes counts them by user: two submissions with one user would share it. A socket in the
    abstract namespace needs no file, and the id is free again when its process ends, however it ends.
    """
    for number in range(FIRST_UID + slot, FIRST_UID + slot + 64 * 100, 64):
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0selfgated-grading-{number}")
        except OSError:
            lock.close()
        else:
            return number, lock
    raise OSError(f"no user id from {FIRST_UID + slot} on is free")


def namespaces(user):
    """Return the options of bubblewrap that part the processes from the machine."""
    options = ["--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    options += ["--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox"]
    if os.geteuid() == 0:
        # setpriv needs them to become another user; it then gives them up.
        options += ["--cap-drop", "ALL"]
        return options + [
            word for cap in ("SETUID", "SETGID", "SETPCAP") for word in ("--cap-add", "CAP_" + cap)
        ]
    return [*options, "--unshare-user", "--uid", str(user), "--gid", str(user)]


def _folder(place):
    return ["--perms", "0755", "--dir", place]


def _read_only(place, source=None):
    return ["--ro-bind", str(source or place), str(place)]


def _scratch(place, size):
    return ["--perms", "1777", "--size", str(size), "--tmpfs", place]


def _system():
    """Options for the shared libraries of the system and a few shell commands."""
    options = [*_folder("/usr"), *_folder("/usr/bin"), *_folder("/usr/lib")]
    libraries = [place for place in Path("/usr/lib").glob("*-linux-gnu*") if place.is_dir()]
    libraries += [Path("/usr/lib64")] if Path("/usr/lib64").is_dir() else []
    for place in libraries:
        options += _read_only(place)
    for name in ("/lib", "/lib64", "/bin"):
        place = Path(name)
        if place.is_symlink():
            options += ["--symlink", f"usr/{place.name}", name]
        elif place.is_dir() and name != "/bin":
            options += _read_only(place)
    for name in (*TOOLS, "prlimit", "setpriv"):
        if place := shutil.which(name, path="/usr/bin:/bin"):
            options += _read_only(f"/usr/bin/{name}", Path(place).resolve())
    if Path(CPU_FACTS).exists():
        options += [*_folder("/proc"), *_read_only(CPU_FACTS)]
    return options


def _python(imports):
    """Options for the interpreter, the packages that the assignment allows, and the agent."""
    executable, library, shared = interpreter()
    options = [*_folder("/python"), *_folder("/python/bin"), *_folder("/python/lib")]
    options += _read_only("/python/bin/python3", executable)
    options += _read_only(f"/python/lib/{library.name}", library)
    for name in ("site-packages", "dist-packages"):
        if (library / name).is_dir():
            options += ["--perms", "0755", "--tmpfs", f"/python/lib/{library.name}/{name}"]
            options += ["--remount-ro", f"/python/lib/{library.name}/{name}"]
    for place in shared:
        options += _read_only(f"/python/lib/{place.name}", place.resolve())
    options += _folder("/packages")
    for name, place in sorted(visible(tuple(imports))[0].items()):
        options += _read_only(f"/packages/{name}", place)
    return [*options, *_folder("/agent"), *_read_only("/agent/inside", INSIDE)]


def bubblewrap(imports, limits, user, *, seccomp=None):
    """Return the command that starts the agent in bubblewrap.

    Parameters
    ----------
    imports : iterable of str
        Packages that the assignment allows.
    limits : Limits
        What the kernel keeps, see `Limits.rlimits`.
    user : int
        User id; as root it is real, otherwise it holds inside only.
    seccomp : int, optional
        File descriptor with the filter of system calls.
    """
    options = [*namespaces(user), *_system(), *_python(imports)]
    # A shared mapping of /dev/zero is memory that stays when its pages are unmapped: nobody would count it.
    options += [
        "--dev",
        "/dev",
        "--dev-bind",
        "/dev/null",
        "/dev/zero",
        *_scratch("/dev/shm", 2**20),
        *_scratch("/tmp", limits.scratch),
    ]
    options += [*_folder("/home"), *_scratch(HOME, limits.scratch), "--chdir", HOME]
    options += ["--remount-ro", "/dev", "--remount-ro", "/"]
    for name, value in environment().items():
        options += ["--setenv", name, value]
    if seccomp is not None:
        options += ["--seccomp", str(seccomp)]
    start = ["/usr/bin/prlimit", *[f"--{name}={value}" for name, value in limits.rlimits().items()], "--"]
    if os.geteuid() == 0:
        start += ["/usr/bin/setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"]
        start += ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"]
    agent = ["/python/bin/python3", "-S", "-m", "inside.agent", "/packages"]
    return ["bwrap", *options, "--", *start, *agent]


def bare(imports, limits, folder):
    """Return command, environment and folder of a run without a sandbox: limits, and allowed packages."""
    packages, home, agent = (Path(folder, name) for name in ("packages", "home", "agent"))
    for place in (packages, home, agent):
        place.mkdir()
    (agent / "inside").symlink_to(INSIDE)
    for name, place in visible(tuple(imports))[0].items():
        (packages / name).symlink_to(place)
    executable = interpreter()[0]
    rlimits = [
        f"--{name}={value}" for name, value in limits.rlimits().items() if name not in ("nproc", "memlock")
    ]
    start = ["prlimit", *rlimits, "--"] if shutil.which("prlimit") else []
    changes = {"HOME": str(home), "TMPDIR": str(home), "PATH": os.defpath, "LD_LIBRARY_PATH": ""}
    changes["PYTHONPATH"] = str(agent)
    command = [*start, str(executable), "-S", "-m", "inside.agent", str(packages)]
    return command, environment() | changes, home


def scratch_folder():
    """Return a new folder for a run without a sandbox."""
    return tempfile.TemporaryDirectory(prefix="selfgated-grading-")
