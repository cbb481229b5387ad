"""Record experiments: ``python -m selfgated.experiments [NAME ...]``, which ``make results`` runs."""

import argparse
import sys
import time

from tqdm import tqdm

from selfgated import experiments, sweep
from selfgated.experiments.record import record, units_of

__all__ = ["main"]

UNFINISHED = 75  # EX_TEMPFAIL of sysexits.h: run it again
INTERRUPTED = 130


def main(argv=None):
    """Record the named experiments, or all.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        0; 1 if units failed; 2 for bad input; 75 if `--max-seconds` were over, so that the same command goes
        on; 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="python -m selfgated.experiments",
        description="Record what the chapters plot. Interrupted, it goes on where it stopped.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"all by default: {', '.join(experiments.NAMES)}"
    )
    parser.add_argument("--profile", default="quick", help="tiny, quick (default) or full")
    parser.add_argument("--device", default="auto", help="auto (default), cpu or cuda")
    parser.add_argument("--workers", type=int, help="processes (default: 2 on a CPU, 1 on CUDA); 0: none")
    parser.add_argument("--cifar", help="cifar10 or folder:PATH (default: $SELFGATED_CIFAR, else cifar10)")
    parser.add_argument("--max-seconds", type=float, help="begin no unit after this time; exit code 75 then")
    parser.add_argument("--out", help="folder of the records (default: results)")
    parser.add_argument("--list", action="store_true", help="list names, units, seeds and budgets, and stop")
    args = parser.parse_args(argv)
    try:
        if args.list:
            for line in _listing(args.names or experiments.NAMES):
                tqdm.write(line)
            return 0
        return _record_all(args)
    except (ValueError, ModuleNotFoundError) as error:
        return _fail(error, 2)
    except sweep.Unfinished as error:
        return _fail(error, UNFINISHED)
    except sweep.SweepError as error:
        return _fail(error, 1)
    except KeyboardInterrupt as error:
        return _fail(str(error) or "stopped; run it again to go on", INTERRUPTED)


def _fail(message, code):
    tqdm.write(f"selfgated: {message}", file=sys.stderr)
    return code


def _record_all(args):
    names = args.names or experiments.NAMES
    for name in names:  # a wrong name or profile shows before hours of work
        units_of(experiments.module(name), name, args.profile)
    end = None if args.max_seconds is None else time.monotonic() + args.max_seconds
    failed = []
    for name in names:
        began = time.monotonic()
        try:
            path = record(
                name,
                profile=args.profile,
                device=args.device,
                workers=args.workers,
                cifar=args.cifar,
                out=args.out,
                max_seconds=None if end is None else end - time.monotonic(),
                say=tqdm.write,
            )
        except (sweep.Unfinished, sweep.StoreError):
            raise
        except sweep.SweepError as error:
            failed.append(name)
            _fail(f"{name}: {error}", 1)
        else:
            tqdm.write(f"{path.name}: {path.stat().st_size} bytes, {time.monotonic() - began:.1f} s now")
    if failed:
        return _fail(f"not recorded: {', '.join(failed)}", 1)
    return 0


def _listing(names):
    """Lines of a table: units, networks and budget in seconds of each profile."""
    yield f"{'':22}" + "".join(f"{profile:>26}" for profile in experiments.PROFILES)
    yield f"{'':22}" + "   units networks budget/s" * len(experiments.PROFILES)
    total = dict.fromkeys(experiments.PROFILES, 0)
    for name in names:
        module = experiments.module(name)
        line = f"{name:22}"
        for profile in experiments.PROFILES:
            units = units_of(module, name, profile)
            networks = sum(len(seeds) for _, seeds in units)
            total[profile] += module.BUDGET[profile]
            line += f"{len(units):8}{networks:9}{module.BUDGET[profile]:9g}"
        yield line
    yield f"{'together':22}" + "".join(f"{total[profile]:26g}" for profile in experiments.PROFILES)


if __name__ == "__main__":
    sys.exit(main())
