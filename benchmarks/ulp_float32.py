"""Every float32 value: the error of the kernels, and of torch, in ULP. Run as `make ulp`.

The values are walked in blocks of 2^23 consecutive bit patterns. Each block is compared with
`selfgated.ulp.Reference`, whose own error is below 1e-7 ULP of float32; of the kernels, every value above 0.5
ULP or within 1e-6 ULP of a tie is decided by mpmath. A finished block is a line of the progress file, so that
an interrupted run goes on where it stopped. The table goes to results/ulp_float32.csv.
"""

import argparse
import csv
import datetime
import hashlib
import json
import math
import platform
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import mpmath
import numpy as np
from tqdm import tqdm

from selfgated import __version__, kernels, ulp

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
FUNCTIONS = ("silu", "silu_grad", "gelu", "gelu_grad", "mish", "mish_grad")
BLOCK = 1 << 23
STEP = 1 << 16
TIE = 1e-6
SUMS = ("values", "misrounded", "above_1", "above_256", "flushed", "wrong_special", "decided")


def torch_function(name):
    """The function of torch that readers would use, on NumPy arrays; a slope is its backward pass."""
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(1)
    order = name.endswith("_grad")
    fn = getattr(F, name.removesuffix("_grad"))

    def call(z):
        z = torch.from_numpy(z).requires_grad_(order)
        a = fn(z)
        return torch.autograd.grad(a.sum(), z)[0].numpy() if order else a.numpy()

    return call


def block_values(block):
    """The float32 values of a block of bit patterns: the last of each sign is infinity and the NaNs."""
    return np.arange(block * BLOCK, (block + 1) * BLOCK, dtype=np.uint64).astype(np.uint32).view(np.float32)


def decide(name, z, got):
    """Error in ULP of each result, by mpmath."""
    base, order = name.removesuffix("_grad"), int(name.endswith("_grad"))
    return ulp.error_exact(got, ulp.exact(base, order, z), "float32")


def measure(name, block, implementation):
    """Return the counts of one block as a dictionary."""
    base, order = name.removesuffix("_grad"), int(name.endswith("_grad"))
    reference = ulp.reference(base, order)
    ours = implementation == "selfgated"
    call = getattr(kernels, name) if ours else torch_function(name)
    total = dict.fromkeys(SUMS, 0) | {"max_ulp": 0.0, "where": None}
    values = block_values(block)
    for start in range(0, len(values), STEP):
        z = values[start : start + STEP]
        got, exact = call(z), reference(z)
        unit = ulp.spacing(exact)
        error = ulp.error(got, exact)
        if ours:
            scaled = np.where(np.isfinite(exact), np.abs(exact) / unit, 0.0)
            close = np.abs(scaled - np.floor(scaled) - 0.5) < TIE
            at = np.flatnonzero(((error > 0.5) | close) & np.isfinite(z))
            error[at] = decide(name, z[at], got[at])
            total["decided"] += len(at)
        total["wrong_special"] += int((np.isfinite(got) != np.isfinite(exact.astype(np.float32))).sum())
        at_finite = np.where(np.isfinite(z), error, 0.0)
        worst = int(np.argmax(at_finite))
        if at_finite[worst] > total["max_ulp"]:
            total |= {"max_ulp": float(at_finite[worst]), "where": float(z[worst])}
        total["values"] += len(z)
        total["misrounded"] += int((error > 0.5).sum())
        total["above_1"] += int((error > 1).sum())
        total["above_256"] += int((error > 256).sum())
        total["flushed"] += int(((got == 0) & (np.abs(exact) >= np.finfo(np.float32).tiny)).sum())
    return {"function": name, "implementation": implementation, "block": block, "version": key()} | total


@cache
def key():
    """What a stored block depends on: the kernels, as their source stands, and the libraries."""
    modules = sorted(Path(kernels.__file__).parent.glob("[a-z_]*[a-z].py"))
    source = b"".join(path.read_bytes() for path in modules)
    return f"kernels {hashlib.sha256(source).hexdigest()[:16]}, {versions()}"


def power(text):
    """0, inf or a power of two, as a number or like 2^-30: the blocks are binades."""
    base, caret, exponent = text.partition("^")
    value = float(base) ** int(exponent) if caret else float(text)
    if value not in (0, math.inf) and math.frexp(value)[0] != 0.5:
        raise argparse.ArgumentTypeError(f"{text!r} is not 0, inf or a power of two")
    return value


def blocks(smallest, largest):
    """The blocks that hold a float32 with smallest <= abs(z) < largest (powers of two), or any if inf."""
    low, high = (int(np.float32(v).view(np.uint32)) // BLOCK for v in (smallest, largest))
    high += np.isinf(largest)
    sign = (1 << 31) // BLOCK
    return [*range(low, high), *range(sign + low, sign + high)]


def read(path):
    """The finished blocks of the progress file, a torn last line left out."""
    done = []
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                done.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return [d for d in done if d["version"] == key()]


def summary(done):
    """One row per function and implementation."""
    rows = []
    for name in FUNCTIONS:
        for implementation in ("selfgated", "torch"):
            parts = [d for d in done if (d["function"], d["implementation"]) == (name, implementation)]
            if parts:
                worst = max(parts, key=lambda d: d["max_ulp"])
                rows.append(
                    {"function": name, "implementation": implementation}
                    | {s: sum(d[s] for d in parts) for s in SUMS}
                    | {"max_ulp": worst["max_ulp"], "where": worst["where"]}
                )
    return rows


def main(argv=None):
    """Sweep, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smallest", type=power, default=0.0, help="0 or a power of two, such as 2^-30")
    parser.add_argument("--largest", type=power, default=np.inf, help="inf or a power of two")
    parser.add_argument("--functions", nargs="+", default=FUNCTIONS, choices=FUNCTIONS, metavar="NAME")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "ulp_float32.csv")
    args = parser.parse_args(argv)
    progress = args.out.with_suffix(".progress")
    wanted = set(blocks(args.smallest, args.largest))
    stored = read(progress)
    done = [d for d in stored if d["block"] in wanted]
    have = {(d["function"], d["block"], d["implementation"]) for d in done}
    todo = [
        job
        for name in args.functions
        for block in sorted(wanted)
        for implementation in ("selfgated", "torch")
        if (job := (name, block, implementation)) not in have
    ]
    args.out.parent.mkdir(exist_ok=True)
    progress.write_text("".join(json.dumps(d) + "\n" for d in stored))  # without what is torn or outdated
    pool = ProcessPoolExecutor(args.jobs) if args.jobs > 1 else nullcontext()
    with pool, progress.open("a") as store:
        run = pool.map if args.jobs > 1 else map
        columns = zip(*todo, strict=True) if todo else ((), (), ())
        try:
            for part in tqdm(run(measure, *columns), total=len(todo), unit="block"):
                done.append(part)
                store.write(json.dumps(part) + "\n")
                store.flush()
        except KeyboardInterrupt:
            if args.jobs > 1:
                pool.shutdown(cancel_futures=True)
            sys.exit("interrupted; the same command goes on from here")
    rows = summary([d for d in done if d["function"] in args.functions])
    with args.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    record = {
        "command": " ".join(["python benchmarks/ulp_float32.py", *(sys.argv[1:] if argv is None else argv)]),
        "range": [args.smallest, args.largest],
        "date": datetime.date.today().isoformat(),
        "device": f"CPU, {platform.machine()}",
        "versions": versions(),
    }
    args.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


def versions():
    """Versions of what computed the table."""
    import torch

    return {
        "python": platform.python_version(),
        "selfgated": __version__,
        "numpy": np.__version__,
        "torch": torch.__version__.split("+")[0],
        "mpmath": mpmath.__version__,
    }


if __name__ == "__main__":
    main()
