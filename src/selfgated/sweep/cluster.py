"""The Ray engine: each unit is a task of a Ray cluster, and its rows come back to the driver."""

import time
from collections import deque

from selfgated.sweep.errors import SweepError
from selfgated.sweep.units import execute

__all__ = ["import_ray", "run_ray"]


def import_ray():
    """Import Ray, or say which extra brings it.

    Raises
    ------
    SweepError
        If Ray is not installed.
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise SweepError("engine 'ray' needs Ray; install it with pip install 'selfgated[ray]'") from None
    return ray


def run_ray(todo, *, function, device, deadline, address, retries):
    """Run the units as tasks of a Ray cluster.

    A task that is lost with its process or its node is given to another, `retries` times at most. A
    connection that the caller has opened (`ray.init`) is used and left open.

    Parameters
    ----------
    todo : sequence of Unit
        The units, submitted in this order.
    function, device : str
        Passed on to each task; with a device `cuda`, a task asks Ray for one GPU.
    deadline : float
        No unit is submitted after this time (`time.monotonic`).
    address : str or None
        The cluster's ``host:port``; None takes the one that RAY_ADDRESS names, or that runs on this machine.
    retries : int
        Further tries of a task.

    Yields
    ------
    tuple of Unit and dict
        A unit and its outcome (see `units.execute`), in the order in which they end.

    Raises
    ------
    SweepError
        If Ray is not installed or no cluster answers.
    """
    ray = import_ray()
    opened = not ray.is_initialized()
    if opened:
        _connect(ray, address)
    try:
        task = ray.remote(execute).options(
            num_cpus=1,
            num_gpus=1 if device.startswith("cuda") else 0,
            max_retries=retries,
            name=f"selfgated.sweep {function}",
        )
        waiting, running = deque(todo), {}
        while True:
            slots = max(2, 2 * int(ray.cluster_resources().get("CPU", 1)))
            while waiting and len(running) < slots and time.monotonic() < deadline:
                unit = waiting.popleft()
                running[task.remote(function, unit.config, unit.seeds, device)] = unit
            if not running:
                return
            for reference in ray.wait(list(running), timeout=1.0)[0]:
                unit = running.pop(reference)
                try:
                    outcome = ray.get(reference)
                except ray.exceptions.RayError as error:
                    line = f"{type(error).__name__}: {error}".strip().splitlines()[0]
                    outcome = {
                        "error": f"Ray lost it {retries + 1} times, at last by {line}",
                        "traceback": "",
                    }
                yield unit, outcome
    finally:
        if opened:
            ray.shutdown()  # ends the tasks of this driver


def _connect(ray, address):
    try:
        ray.init(address=address or "auto", log_to_driver=False, logging_level="warning")
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        where = address or "RAY_ADDRESS or on this machine"
        raise SweepError(
            f"no Ray cluster answers at {where}; `ray start --head` begins one: {error}"
        ) from error
