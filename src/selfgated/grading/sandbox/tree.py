"""What a tree of processes uses, read from /proc by the trusted parent."""

import contextlib
import os
import re
from dataclasses import dataclass, field

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
LISTS_CHILDREN = os.path.exists("/proc/thread-self/children")


@dataclass
class Usage:
    """Use of the machine at one moment.

    Parameters
    ----------
    cpu : float
        CPU seconds of all processes, and of those that ended and were waited for.
    memory : int
        Bytes in memory, files in scratch folders included.
    processes : list of int
        Process ids, parents before children.
    busy : bool
        Whether a process ran, waited for a CPU or for a disk.
    files : int
        Most files in one scratch folder.
    own : dict of (int, int) to float
        CPU seconds of each living process without its children, by its id and the time of its start.
    """

    cpu: float = 0.0
    memory: int = 0
    processes: list = field(default_factory=list)
    busy: bool = False
    files: int = 0
    own: dict = field(default_factory=dict)


FORK = 0.01  # CPU seconds that a process costs which may have ended between two looks


class Meter:
    """The use of a tree of processes over its life.

    The kernel forgets the CPU seconds of a child whose parent ignores its end. So each process counts with
    what it had used when it was last seen, and the number of processes ever started, known from the ids
    inside, with `FORK` each.

    Parameters
    ----------
    root : int
        Process id.
    """

    def __init__(self, root):
        """Look at nothing yet."""
        self.root, self.alive, self.ended, self.most = root, {}, 0.0, 0.0
        self.numbers, self.first, self.last = {}, None, 0

    def look(self, scratch=()):
        """Return what the tree uses now, and the CPU seconds of its life; see `usage`."""
        now = usage(self.root, scratch)
        self.ended += sum(used for key, used in self.alive.items() if key not in now.own)
        self.alive = now.own
        self.most = max(self.most, now.cpu, self.ended + sum(now.own.values()))
        self.numbers = {key: self.numbers.get(key) or _number(key[0]) for key in now.own}
        self.last = max([self.last, *self.numbers.values()])
        if self.first is None and self.last > 1:
            self.first = self.last
        now.cpu = self.most + FORK * (self.last - (self.first or self.last))
        return now


def _number(process):
    """The id of a process within a namespace below ours; 0 if it is in none, or that cannot be read."""
    try:
        found = re.search(rb"^NSpid:\t\d+\t(?:\d+\t)*(\d+)$", _read(f"/proc/{process}/status"), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def usage(root, scratch=()):
    """Return what the process `root` and its descendants use.

    Parameters
    ----------
    root : int
        Process id.
    scratch : iterable of str
        Folders inside, for the files in them.
    """
    now, todo = Usage(), [root]
    parents = None if LISTS_CHILDREN else _parents()
    while todo:
        process = todo.pop()
        try:
            fields = _fields(process)
            pages = int(_read(f"/proc/{process}/statm").split()[1])
            children = _children(process) if parents is None else parents.get(process, [])
        except (OSError, IndexError, ValueError):  # it ended between two lines
            continue
        now.processes.append(process)
        now.cpu += sum(map(int, fields[11:15])) / TICKS
        now.own[process, int(fields[19])] = (int(fields[11]) + int(fields[12])) / TICKS
        now.memory += pages * PAGE
        now.busy = now.busy or (fields[0] in (b"R", b"D") and process != root)
        todo += children
    _count_files(now, scratch)
    return now


def _fields(process):
    """Return the fields of ``/proc/PID/stat`` from the state on."""
    return _read(f"/proc/{process}/stat").rpartition(b")")[2].split()


def _children(process):
    return [
        int(child)
        for thread in os.listdir(f"/proc/{process}/task")
        for child in _read(f"/proc/{process}/task/{thread}/children").split()
    ]


def _parents():
    """Return the children of every process, for kernels that do not list them."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            found.setdefault(int(_fields(name)[1]), []).append(int(name))
    return found


def _count_files(now, scratch):
    """Add the files in scratch folders, seen through the first process inside."""
    if len(now.processes) < 2:
        return
    for folder in scratch:
        try:
            about = os.statvfs(f"/proc/{now.processes[1]}/root{folder}")
        except OSError:
            continue
        now.memory += (about.f_blocks - about.f_bfree) * about.f_frsize
        now.files = max(now.files, about.f_files - about.f_ffree)


def _read(path):
    with open(path, "rb") as file:
        return file.read()
