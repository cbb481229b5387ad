"""``selfgated train``: train one small network per seed, all at once, and print what they reach."""

import argparse
import json
import sys

__all__ = ["add"]

LEARNING_RATES = {"sgd": 0.02, "adam": 0.003}
MODELS = ("cnn", "mlp")
NORMS = ("none", "batch")
MOST, LARGEST = 100_000, 2**63 - 1  # of the seeds: their number, and their values


def _seeds(text):
    """Turn '0:5' or '0,3,7' into a tuple of seeds."""
    try:
        if ":" in text:
            first, last = map(int, text.split(":"))
            seeds = tuple(range(first, last)) if last - first <= MOST else ()
        else:
            seeds = tuple(map(int, text.split(",")))
    except ValueError:
        seeds = ()
    if not seeds or min(seeds) < 0 or max(seeds) > LARGEST or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"bad seeds {text!r}; choose a range such as 0:5, or a list such as 0,3,7: from 0 to 2^63 - 1, "
            f"none twice, at most {MOST}"
        )
    return seeds


def _model(args, data, seeds):
    """Build the networks, with their initial weights."""
    from selfgated import catalog, init, models

    act = catalog.get(args.act).name
    if args.init not in init.SCHEMES:
        raise ValueError(f"unknown init {args.init!r}; choose from {list(init.SCHEMES)}")
    options = {
        "width": args.width,
        "depth": args.depth,
        "act_layer": act,
        "norm": None if args.norm == "none" else args.norm,
        "residual": args.residual,
        "num_models": len(seeds),
    }
    if args.model == "cnn":
        model = models.CNN(data.channels, len(data.classes), image_size=data.image_size, **options)
    else:
        model = models.MLP(data.x_train[0].size, len(data.classes), **options)
    init.scheme_(model, args.init, act, seeds=seeds)
    return model


def _report(result, data, args):
    """Return the outcome as plain data."""
    from selfgated.statistics import mean_interval

    interval = None
    trained = result.test_accuracy[result.diverged_at < 0]
    if len(trained) > 1:
        found = mean_interval(trained)
        interval = {"mean": found.mean, "low": found.low, "high": found.high, "n": found.n}
    settings = {name: value for name, value in vars(args).items() if name not in ("run", "command", "json")}
    return {
        "data": data.label,
        "settings": settings,
        "interrupted": result.interrupted,
        "rows": result.rows(partial=True),
        "test_accuracy": interval,
    }


def _lines(report):
    yield f"{report['data']}, {report['rows'][0]['steps']} steps"
    yield f"{'seed':>6}  {'test accuracy':>13}  {'test loss':>9}  diverged"
    for row in report["rows"]:
        loss = "-" if row["test_loss"] is None else f"{row['test_loss']:.4f}"
        diverged = "no" if row["diverged_at"] < 0 else f"at step {row['diverged_at']}"
        yield f"{row['seed']:>6}  {row['test_accuracy']:>13.4f}  {loss:>9}  {diverged}"
    found = report["test_accuracy"]
    if found is not None:
        yield (
            f"{'mean':>6}  {found['mean']:>13.4f}  95 % interval [{found['low']:.4f}, {found['high']:.4f}] "
            f"over {found['n']} seeds{' that did not diverge' * (found['n'] < len(report['rows']))}"
        )


def _note(text):
    print(f"selfgated: {text}", file=sys.stderr)


def _run_train(args):
    seeds = _seeds(args.seeds)

    from pathlib import Path

    from selfgated import data as datasets
    from selfgated import train

    device = train.resolve_device(args.device)
    data = datasets.load(args.data, progress=not args.quiet)
    model = _model(args, data, seeds)
    if args.resume and args.checkpoint and not Path(args.checkpoint).exists():
        _note(f"there is no checkpoint {args.checkpoint} yet: starting at step 0")
    result = train.fit(
        model,
        data,
        seeds=seeds,
        steps=args.steps,
        lr=LEARNING_RATES[args.optimizer] if args.lr is None else args.lr,
        batch_size=args.batch_size,
        optimizer=args.optimizer,
        momentum=args.momentum,
        weight_decay=args.weight_decay,
        schedule=args.schedule,
        warmup=args.warmup,
        clip=args.clip,
        device=device,
        precision=args.precision,
        progress=not args.quiet,
        checkpoint=args.checkpoint,
        checkpoint_every=args.checkpoint_every,
        resume=args.resume,
        tag={"data": args.data, "init": args.init},
    )
    report = _report(result, data, args)
    print(json.dumps(report, indent=2) if args.json else "\n".join(_lines(report)))
    if not result.interrupted:
        return 0
    done = f"interrupted after {result.steps} of {args.steps} steps"
    if args.checkpoint:
        _note(f"{done}, kept in {args.checkpoint}: the same command with --resume goes on")
    else:
        _note(f"{done}; nothing is kept: with --checkpoint PATH, --resume could go on")
    return 130


def add(commands):
    """Add ``train`` to the subparsers `commands`."""
    parser = commands.add_parser(
        "train",
        help="train a small network, once per seed, all at once",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    option = parser.add_argument
    option("--data", default="digits", metavar="NAME", help="digits, cifar10, fashion_mnist or folder:PATH")
    option("--model", default="cnn", choices=MODELS, help="architecture")
    option("--depth", type=int, default=8, help="convolutions, or hidden layers")
    option("--width", type=int, default=16, help="channels, or units of a layer")
    option("--act", default="silu", metavar="NAME", help="activation, a name that `selfgated act` knows")
    option("--init", default="own", metavar="SCHEME", help="initial weights: default, xavier, he or own")
    option("--norm", default="none", choices=NORMS, help="normalisation before each activation")
    option("--residual", action="store_true", help="add the input of each layer to its output")
    option("--optimizer", default="sgd", choices=tuple(LEARNING_RATES), help="as torch.optim's")
    option("--lr", type=float, help="learning rate; if not given 0.02 for sgd, 0.003 for adam")
    option("--momentum", type=float, default=0.9, help="of sgd")
    option("--weight-decay", type=float, default=0.0, help="L2 with sgd, decoupled with adam")
    option("--schedule", default="constant", help="of the learning rate: constant, cosine or linear")
    option("--warmup", type=int, default=0, metavar="STEPS", help="steps in which the learning rate rises")
    option("--clip", type=float, metavar="NORM", help="largest norm of a network's gradient")
    option("--steps", type=int, default=200, help="updates")
    option("--batch-size", type=int, default=64, help="samples of a step")
    option("--seeds", default="0:5", help="a network each: a range 0:5, or a list 0,3,7")
    option("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    option("--precision", default="float32", help="float32 or bfloat16 (autocast)")
    option("--checkpoint", metavar="PATH", help="keep the state here, at Ctrl-C and at the end")
    option("--checkpoint-every", type=int, metavar="STEPS", help="and every so many steps")
    option("--resume", action="store_true", help="go on from the checkpoint, if there is one")
    option("--quiet", action="store_true", help="show no progress")
    option("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run_train)
