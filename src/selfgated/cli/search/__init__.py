"""``selfgated search``: score a function, look up the recorded table, or search for activation functions."""

import argparse
import json
import re
import sys

from selfgated.cli.train import _seeds

__all__ = ["add"]

EXAMPLES = """\
examples:
  selfgated search --score "x*sigmoid(x)" "max(x, tanh(x))"
  selfgated search --table --top 20                    the best of the recorded table
  selfgated search --table --strategy ppo              a search of that table: a second
  selfgated search --strategy evolution --cores 2 --evaluations 300 --store found.sqlite

Stopped or killed, a search goes on with the same command. With --engine ray its networks are trained on a
Ray cluster, as by `selfgated sweep`.
"""
DEFAULTS = {
    "top": 10,
    "cores": 1,
    "evaluations": 200,
    "batch": 20,
    "seed": 0,
    "seeds": None,
    "retest": "100:105",
    "steps": 250,
    "gain": "he",
    "store": None,
    "engine": "local",
    "workers": None,
    "address": None,
    "device": "auto",
    "quiet": False,
}
TRAINING = ("seeds", "steps", "gain", "device")
SEARCH = ("evaluations", "batch", "seed", "top")
# What each kind of call takes beside the options that make it what it is.
TAKES = {
    "--score": TRAINING,
    "--table": ("top",),
    "--table --strategy": SEARCH,
    "--strategy": (
        *SEARCH, *TRAINING, "cores", "retest", "store", "engine", "workers", "address", "quiet",
    ),
}  # fmt: skip
COUNTS = ("top", "evaluations", "batch", "steps")


def _kind(args):
    """What is asked for: a key of `TAKES`."""
    if args.score is not None:
        if args.table or args.strategy is not None:
            raise ValueError(f"--score stands alone, without {'--table' if args.table else '--strategy'}")
        return "--score"
    if args.table:
        return "--table" if args.strategy is None else "--table --strategy"
    if args.strategy is None:
        raise ValueError("nothing to do: give --score EXPR, --table or --strategy NAME; see `search --help`")
    return "--strategy"


def _complete(args, kind):
    """Check the options, and give those that were not given their defaults."""
    for name, default in DEFAULTS.items():
        if getattr(args, name) is None:
            setattr(args, name, default)
        elif name not in TAKES[kind]:
            takes = ", ".join(f"--{name}" for name in TAKES[kind])
            raise ValueError(f"--{name} has no meaning with {kind}, which takes {takes}")
    for name in COUNTS:
        if getattr(args, name) < 1:
            raise ValueError(f"--{name} must be 1 or more, not {getattr(args, name)}")
    if kind == "--strategy" and args.store is None:
        raise ValueError("a search needs --store FILE, which keeps every score: killed, it then goes on")
    if args.strategy is not None:
        from selfgated.search import strategies

        strategies.options(args.strategy)  # the unknown one is named


def _score(args):
    seeds = _seeds(args.seeds or "0:5")

    from selfgated.cli.search import scores
    from selfgated.search import parse
    from selfgated.train import resolve_device

    expressions = []
    for text in args.score:
        try:
            expressions.append(parse(text))
        except ValueError as error:
            if len(args.score) == 1:
                raise
            shown = text if len(text) <= 40 else text[:37] + "..."
            raise ValueError(f"in {shown!r}: {error}") from error
    device = str(resolve_device(args.device))
    report = scores.score(expressions, seeds=seeds, steps=args.steps, gain=args.gain, device=device)
    return report, scores.score_lines(report)


def _table(args):
    from selfgated.cli.search import scores

    report = scores.table(top=args.top)
    return report, scores.table_lines(report)


def _replay(args):
    from selfgated.cli.search import runs

    report = runs.replay(
        args.strategy, seed=args.seed, evaluations=args.evaluations, batch=args.batch, top=args.top
    )
    return report, runs.replay_lines(report)


def _live(args):
    seeds, retest = _seeds(args.seeds or "0"), _seeds(args.retest)
    if shared := sorted(set(seeds) & set(retest)):
        raise ValueError(
            f"--retest must have other seeds than the search, and both have {shared[0]}: the scores that "
            "chose the best do not tell how good they are"
        )

    from selfgated.cli.search import runs
    from selfgated.train import resolve_device

    resolve_device(args.device)
    report = runs.live(
        args.strategy,
        cores=args.cores,
        seed=args.seed,
        evaluations=args.evaluations,
        batch=args.batch,
        top=args.top,
        seeds=seeds,
        retest=retest,
        progress=not args.quiet,
        store=args.store,
        engine=args.engine,
        address=args.address,
        workers=(2 if args.engine == "ray" else 0) if args.workers is None else args.workers,
        device=args.device,
        settings={"steps": args.steps, "gain": args.gain},
    )
    return report, runs.live_lines(report)


RUNS = {"--score": _score, "--table": _table, "--table --strategy": _replay, "--strategy": _live}


def _run_search(args):
    kind = _kind(args)
    _complete(args, kind)

    from selfgated import sweep

    def fail(message, code):
        print(f"selfgated: {message}", file=sys.stderr)
        return code

    try:
        report, lines = RUNS[kind](args)
    except sweep.SweepError as error:
        return fail(error, 2 if isinstance(error, sweep.StoreError) else 1)
    except KeyboardInterrupt as error:
        return fail(str(error) or "interrupted", 130)
    print(json.dumps(report, indent=2) if args.json else "\n".join(lines))
    return 0


def add(commands):
    """Add ``search`` to the subparsers `commands`."""
    parser = commands.add_parser(
        "search",
        help="search for activation functions, score one, or look up the recorded table",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # argparse takes -x*sin(x) for an option, unless it takes it for a negative number.
    parser._negative_number_matcher = re.compile(r"^-[^-]")
    option = parser.add_argument_group("what to do").add_argument
    option(
        "--score",
        nargs="+",
        action="extend",
        metavar="EXPR",
        help="train small networks with these functions of x, beside Swish and ReLU",
    )
    option("--table", action="store_true", help="use the recorded scores of all functions of one core unit")
    option(
        "--strategy",
        metavar="NAME",
        help="search: random, evolution, ppo, softmaxes or exhaustive; live, or of the table",
    )
    option("--json", action="store_true", help="print JSON")
    option = parser.add_argument_group("a search").add_argument
    option("--cores", type=int, choices=(1, 2, 3), help="core units of a function (default 1)")
    option("--evaluations", type=int, metavar="N", help="candidates that are scored (default 200)")
    option("--batch", type=int, metavar="N", help="candidates proposed at once (default 20)")
    option("--seed", type=int, help="of the strategy (default 0)")
    option("--top", type=int, metavar="K", help="how many of the best are shown (default 10)")
    option = parser.add_argument_group("the networks").add_argument
    option("--seeds", help="a network each, as 0:5 or 0,3,7 (default: 0 in a search, 0:5 for --score)")
    option("--retest", metavar="SEEDS", help="of those that judge the best of a search (default 100:105)")
    option("--steps", type=int, metavar="N", help="updates of each (default 250)")
    option("--gain", choices=("he", "own"), help="initial weights: He's for all (default), or each its own")
    option("--device", help="auto (default), cpu or cuda")
    option = parser.add_argument_group("where a live search runs").add_argument
    option("--store", metavar="FILE", help="SQLite file that keeps every score; needed")
    option("--engine", help="local (default), or ray: a Ray cluster, selfgated[ray]")
    option(
        "--workers", type=int, metavar="N", help="processes (default 0: none but this), or tasks of Ray (2)"
    )
    option("--address", metavar="HOST:PORT", help="of the Ray cluster (default: RAY_ADDRESS)")
    option("--quiet", action="store_true", default=None, help="show no progress")
    parser.set_defaults(run=_run_search)
