"""``selfgated data``: fetch or decode a data set, and say what is in it."""

import json

__all__ = ["add"]


def _describe(found):
    """Return what there is to say about a `Dataset`, as plain data."""
    import numpy as np

    parts = {}
    for part in ("train", "test"):
        x, y = getattr(found, f"x_{part}"), getattr(found, f"y_{part}")
        parts[part] = {
            "shape": list(x.shape),
            "counts": np.bincount(y, minlength=len(found.classes)).tolist(),
        }
    return {
        "name": found.name,
        "label": found.label,
        **parts,
        "classes": list(found.classes),
        "mean": [round(float(value), 6) for value in found.mean],
        "std": [round(float(value), 6) for value in found.std],
        "path": None if found.path is None else str(found.path),
    }


def _lines(info):
    yield info["label"]
    for part in ("train", "test"):
        yield f"  {part:<7} {info[part]['shape'][0]} images, shape {tuple(info[part]['shape'])}, uint8"
    width = max(map(len, info["classes"]))
    yield f"  classes {len(info['classes'])}: train, test images of each"
    for name, train, test in zip(
        info["classes"], info["train"]["counts"], info["test"]["counts"], strict=True
    ):
        yield f"          {name:<{width}}  {train:>6} {test:>6}"
    for key in ("mean", "std"):
        yield f"  {key:<7} {', '.join(f'{value:.4f}' for value in info[key])}   (of train, by channel)"
    yield f"  cached  {info['path'] or 'no'}"


def _run_data(args):
    from selfgated import data

    info = _describe(data.load(args.name, cache=args.cache))
    print(json.dumps(info, indent=2) if args.json else "\n".join(_lines(info)))
    return 0


def add(commands):
    """Add ``data`` to the subparsers `commands`."""
    parser = commands.add_parser(
        "data",
        help="fetch a data set once, check it, and say what is in it",
        epilog="SELFGATED_CIFAR10_URL and SELFGATED_FASHION_MNIST_URL name other folders to download from.",
    )
    parser.add_argument(
        "name",
        metavar="NAME",
        help="digits, cifar10, fashion_mnist, or folder:PATH (train|test/CLASS/*.png|jpg)",
    )
    parser.add_argument("--cache", metavar="DIR", help="cache folder (default: see `selfgated doctor`)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run_data)
