"""Rerun the training notebooks on CUDA: ``python tools/gpu_notebooks.py [NOTEBOOK ...]``.

Their assertions must hold there. Outputs are not compared, because a GPU rounds its sums in another order,
and nothing is written.
"""

import argparse
import os
import sys
import tempfile
import time

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from notebooks import CELL_TIMEOUT, ENVIRONMENT, ROOT, chosen_notebooks, find_notebooks, read_notebook

TRAINING = ("01", "09", "10", "11", "12", "13", "14")


def cuda_name():
    """Name of the CUDA device, or None."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def run(path, environment):
    """Execute the notebook in a fresh kernel with these variables; what went wrong, or None."""
    client = NotebookClient(
        read_notebook(path),
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
        timeout=CELL_TIMEOUT,
    )
    try:
        client.execute(env=os.environ | environment)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        return str(error)
    return None


def main(argv=None):
    """Run the named notebooks, or those that train; return 1 if one fails, 2 if there is no such device."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0].split(":")[0])
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help=f"by default {', '.join(TRAINING)}")
    parser.add_argument(
        "--device", default="cuda", choices=("cuda", "cpu"), help="cpu tries the command itself"
    )
    args = parser.parse_args(argv)
    device = cuda_name() if args.device == "cuda" else "the CPU"
    if device is None:
        print("no CUDA device is here, so nothing was tested; make test runs these notebooks on the CPU")
        return 2
    if args.notebooks:
        paths = chosen_notebooks(args.notebooks)
    else:
        paths = [path for path in find_notebooks() if path.parent.name == "notebooks"]
        paths = [path for path in paths if path.name[:2] in TRAINING]
    if not paths:
        print(f"there is no notebook {', '.join(TRAINING)} to run")
        return 2
    failed = []
    with tempfile.TemporaryDirectory() as profile:
        environment = ENVIRONMENT | {"IPYTHONDIR": profile, "SELFGATED_DEVICE": args.device}
        for path in paths:
            began = time.monotonic()
            problem = run(path, environment)
            name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            print(
                f"{time.monotonic() - began:7.1f} s  {name}  {'holds' if problem is None else 'FAILS'}",
                flush=True,
            )
            if problem is not None:
                failed.append(str(name))
                print(problem)
    print(f"{len(paths)} notebooks on {device}, {len(failed)} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
