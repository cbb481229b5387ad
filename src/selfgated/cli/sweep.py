"""``selfgated sweep``: a grid of trainings from a TOML file, into a store that survives any interruption."""

import argparse
import json
import sys
import tomllib
from pathlib import Path

from selfgated.cli import train as train_command

__all__ = ["add", "train_unit"]

EXAMPLE = """\
example of FILE.toml, 2 x 2 configurations with 5 networks each, trained together:
  data = "digits"
  depth = [8, 16]
  act = ["relu", "silu"]
  init = "own"
  steps = 300
  seeds = "0:5"

Its names are the options of `selfgated train`, with _ for -. Lists are crossed.
"""
NOT_SETTINGS = (
    "run", "command", "seeds", "device", "checkpoint", "checkpoint_every", "resume", "quiet", "json",
)  # fmt: skip


def _parse(config):
    """Return the settings of `selfgated train` with those of a configuration, checked as it checks them."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    train_command.add(commands)
    command = commands.choices["train"]

    def refuse(message):
        raise ValueError(message)

    command.error = refuse
    choices = [name for name in vars(command.parse_args([])) if name not in NOT_SETTINGS]
    argv = []
    for name, value in config.items():
        if name not in choices:
            raise ValueError(f"unknown setting {name!r}; choose from {[*choices, 'seeds']}")
        flag = f"--{name.replace('_', '-')}"
        if isinstance(command.get_default(name), bool):
            if not isinstance(value, bool):
                raise ValueError(f"{name} is true or false, not {value!r}")
            argv += [flag] * value
        elif isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError(f"{name} is a number or a text, not {value!r}")
        else:
            argv.append(f"{flag}={value}")
    return command.parse_args(argv)


def _settings(config):
    """Return a configuration with every default filled in: its rows stay true when a default changes."""
    from selfgated import catalog, init

    args = _parse(config)
    args.act = catalog.get(args.act).name
    if args.init not in init.SCHEMES:
        raise ValueError(f"unknown init {args.init!r}; choose from {list(init.SCHEMES)}")
    if args.lr is None:
        args.lr = train_command.LEARNING_RATES[args.optimizer]
    return {name: value for name, value in vars(args).items() if name not in NOT_SETTINGS}


def train_unit(config, seeds, device):
    """Train one network per seed, all at once, with the settings of `selfgated train`.

    Parameters
    ----------
    config : dict
        Every setting by its name.
    seeds : tuple of int
        A network each.
    device : str
        See `train.resolve_device`.

    Returns
    -------
    list of dict
        The rows of `train.Result`, with the label of the data.
    """
    from selfgated import data as datasets
    from selfgated import train

    data = datasets.load(config["data"], progress=False)
    fitted = ("steps", "lr", "batch_size", "optimizer", "momentum", "weight_decay", "schedule", "warmup")
    result = train.fit(
        train_command._model(argparse.Namespace(**config), data, seeds),
        data,
        seeds=seeds,
        device=device,
        clip=config["clip"],
        precision=config["precision"],
        **{name: config[name] for name in fitted},
    )
    return [row | {"label": data.label} for row in result.rows()]


def _read(path):
    """Return (configurations, seeds, names that vary) of a TOML file."""
    from selfgated.sweep import grid

    try:
        given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    seeds = given.pop("seeds", "0:5")
    text = ",".join(map(str, seeds)) if isinstance(seeds, list) else str(seeds)
    varying = [name for name, value in given.items() if isinstance(value, list)]
    try:
        seeds = train_command._seeds(text)
        return [_settings(config) for config in grid(**given)], seeds, varying
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _cells(configs, rows, varying):
    """Return one dict per configuration: what varies, its networks, and their mean test accuracy."""
    from selfgated.statistics import mean_interval

    cells, size = [], len(rows) // len(configs)
    for at, config in enumerate(configs):
        group = rows[at * size : (at + 1) * size]
        trained = [row["test_accuracy"] for row in group if row["diverged_at"] < 0]
        cell = {name: config[name] for name in varying} | {"networks": size, "diverged": size - len(trained)}
        found = mean_interval(trained) if len(trained) > 1 else None
        mean = found.mean if found else trained[0] if trained else None
        interval = [found.low, found.high] if found else None
        cells.append(cell | {"test_accuracy": mean, "interval": interval})
    return cells


def _lines(cells, label, steps):
    yield f"{label}, {steps} steps; mean test accuracy of the networks that did not diverge, 95 % interval"
    table = [[name for name in cells[0] if name != "interval"]]
    for cell in cells:
        mean, interval = cell["test_accuracy"], cell["interval"]
        text = "-" if mean is None else f"{mean:.4f}"
        if interval:
            text += f" [{interval[0]:.4f}, {interval[1]:.4f}]"
        table.append([str(cell[name]) for name in table[0] if name != "test_accuracy"] + [text])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()


def _run_sweep(args):
    configs, seeds, varying = _read(args.file)

    from selfgated import sweep

    def fail(message, code):
        print(f"selfgated: {message}", file=sys.stderr)
        return code

    try:
        rows = sweep.run(
            "selfgated.cli.sweep:train_unit",
            [(config, seeds) for config in configs],
            store=args.store,
            workers=args.workers,
            device=args.device,
            engine=args.engine,
            address=args.address,
            progress=not args.quiet,
        )
    except sweep.SweepError as error:
        return fail(error, 2 if isinstance(error, sweep.StoreError) else 1)
    except sweep.Interrupted as error:
        return fail(error, 130)
    cells = _cells(configs, rows, varying)
    if args.json:
        print(json.dumps({"configurations": cells, "rows": rows}, indent=2))
    else:
        labels = ", ".join(dict.fromkeys(row["label"] for row in rows))
        steps = ", ".join(map(str, dict.fromkeys(config["steps"] for config in configs)))
        print("\n".join(_lines(cells, labels, steps)))
    return 0


def add(commands):
    """Add ``sweep`` to the subparsers `commands`."""
    parser = commands.add_parser(
        "sweep",
        help="train a grid of small networks; killed and started again, it goes on",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.error = lambda message: parser.exit(2, f"selfgated: {message}\n")
    option = parser.add_argument
    option("file", metavar="FILE.toml", help="the grid")
    option("--store", required=True, metavar="PATH", help="SQLite file that keeps every finished unit")
    option("--workers", type=int, default=2, help="processes on this machine (default 2); 0: none")
    option("--engine", default="local", help="local (default), or ray: a Ray cluster, selfgated[ray]")
    option("--address", metavar="HOST:PORT", help="of the Ray cluster (default: RAY_ADDRESS)")
    option("--device", default="auto", help="auto, cpu or cuda")
    option("--quiet", action="store_true", help="show no progress")
    option("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run_sweep)
