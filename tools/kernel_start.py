"""Pytest plugin: a notebook's kernel that dies while it starts is started again.

jupyter_client looks for five free ports, frees them, and tells the kernel to take them. Where two notebooks
run at a time, one of the ports may be taken in between; the kernel then dies before its first reply.
"""

import functools

from nbval import kernel

TIMES = 3


def patient(start):
    """Return `start` with up to three tries; the error of the last one is raised."""

    @functools.wraps(start)
    def wrapped(*args, **kwargs):
        for _ in range(TIMES - 1):
            try:
                return start(*args, **kwargs)
            except RuntimeError as error:
                if "died before replying" not in str(error):
                    raise
        return start(*args, **kwargs)

    return wrapped


def pytest_configure():
    """Be patient with the kernels of nbval."""
    kernel.start_new_kernel = patient(kernel.start_new_kernel)
