"""How much of the machine one submission may use."""

from dataclasses import dataclass, replace

MB = 2**20


@dataclass(frozen=True)
class Limits:
    """Limits of one submission.

    Time is counted in CPU seconds, and in seconds in which the submission waits without wanting a CPU:
    other work on the machine never fails an honest student.

    Parameters
    ----------
    cpu : float
        CPU seconds of one cell or one call, all processes together.
    idle : float
        Seconds that one cell or one call may sleep.
    total, slept : float
        CPU seconds of the whole submission, cells that had to be run again included, and seconds that it may
        sleep in all.
    memory : int
        Bytes in memory, all processes together.
    address_space : int
        Bytes of address space of one process; more than `memory`, since most of it is never touched.
    processes : int
        Processes and threads at one time.
    file_size, scratch : int
        Bytes of one file, and of each of the two folders that can be written.
    files : int
        Number of files in each of these folders.
    """

    cpu: float = 10.0
    idle: float = 10.0
    total: float = 200.0
    slept: float = 60.0
    memory: int = 1024 * MB
    address_space: int = 2048 * MB
    processes: int = 32
    file_size: int = 32 * MB
    scratch: int = 64 * MB
    files: int = 20_000

    @classmethod
    def of(cls, imports, **changes):
        """Return the limits of an assignment that allows `imports`; torch needs more memory.

        Examples
        --------
        >>> Limits.of(["numpy"], cpu=2.0).cpu
        2.0
        """
        limits = cls(**changes)
        if "torch" in imports:
            limits = replace(limits, memory=2 * limits.memory, address_space=3 * limits.address_space)
        return limits

    @property
    def wall(self):
        """Seconds of wall time after which one request ends, however busy the machine is: a last resort."""
        return 60 + 10 * self.cpu

    def rlimits(self):
        """Return the limits that the kernel keeps for each process, by the names of `prlimit`'s options."""
        return {
            "as": self.address_space,
            "core": 0,
            "cpu": round(self.total) + 10,
            "fsize": self.file_size,
            "memlock": 64 * 1024,
            "msgqueue": 0,
            "nofile": 128,
            "nproc": self.processes,
            "sigpending": 64,
        }
