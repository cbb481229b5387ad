"""``selfgated audit``: where and how fast the gradient of a model vanishes or explodes."""

import contextlib
import importlib.util
import sys
import traceback
from pathlib import Path

__all__ = ["add"]

MODULE = "_selfgated_audited"
# What `selfgated.cli.main` reports in one line as it is.
REPORTED = (ValueError, TypeError, ArithmeticError, OSError, ImportError)


class _InTheirFile(Exception):
    """An error that the user's code raised; its text says where."""


def _target(text):
    """(path, name of the function) from FILE.py:NAME."""
    path, colon, name = text.rpartition(":")
    if not colon or not name.isidentifier():
        raise ValueError(f"cannot read {text!r}: give FILE.py:FUNCTION, such as my_model.py:build")
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no file {str(path)!r}")
    return path, name


def _describe(error, path):
    """An error with the last line of the user's file that it came through; None if it came through none."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) == path:
        return f"{path}:{error.lineno}: {type(error).__name__}: {error.msg}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path]
    if not frames:
        return None
    last = frames[-1]
    return f"{path}:{last.lineno}: in {last.name}: {type(error).__name__}: {error}\n    {last.line}"


@contextlib.contextmanager
def _user_code(path):
    """Run the user's code inside: its folder is importable, it prints to stderr, errors name the line."""
    folder = str(path.parent)
    sys.path.insert(0, folder)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (Exception, SystemExit) as error:
        text = _describe(error, path)
        if text is None and isinstance(error, REPORTED):
            raise
        # Torch names no line of theirs where a batch does not fit the model.
        text = text or f"the model cannot be run on this batch: {type(error).__name__}: {error}"
        raise _InTheirFile(text) from error
    finally:
        sys.modules.pop(MODULE, None)
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _build(path, name):
    """(model, batch) or (model, batch, loss_fn) of the user's function."""
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None:
        raise ValueError(f"{str(path)!r} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    build = getattr(module, name, None)
    if not callable(build):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise ValueError(f"no function {name!r} in {str(path)!r}; it has {known}")
    made = build()
    if not isinstance(made, (tuple, list)) or len(made) not in (2, 3):
        what = (
            f"{len(made)} values"
            if isinstance(made, (tuple, list))
            else f"an object of {type(made).__name__}"
        )
        raise ValueError(f"{name}() must return (model, batch) or (model, batch, loss_fn), not {what}")
    return made


def _plot(found, path):
    """Draw |dL/dz| by layer, and the prediction."""
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np

    from selfgated import plotting

    report = found.exact or found.report
    norms = report.delta_norm
    good = np.isfinite(norms) & (norms > 0)
    if not good.any():
        raise ValueError("nothing to plot: no layer has a gradient that is finite and not 0")
    predictions = None if found.prediction is None else {"measured": found.prediction.delta_norm[good]}
    plotting.use_style()
    ax = plotting.depth_profile(
        {"measured": norms[good]},
        x=np.flatnonzero(good) + 1,
        predictions=predictions,
        xlabel="layer, in order of execution",
        ylabel="gradient norm per sample",
    )
    plotting.save(ax, path)


def _run_audit(args):
    path, name = _target(args.target)
    path = path.resolve()
    if args.plot is not None and Path(args.plot).suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"cannot plot to {args.plot!r}: the name must end in .png or .svg")
    from selfgated import probes

    try:
        with _user_code(path):
            found = probes.audit(*_build(path, name))
    except _InTheirFile as error:
        print(f"selfgated: {error}", file=sys.stderr)
        return 2
    print(found.json() if args.json else found.text)
    if args.plot is not None:
        _plot(found, args.plot)
    return 0


def add(commands):
    """Add ``audit`` to the subparsers `commands`."""
    parser = commands.add_parser(
        "audit",
        help="where and how fast a model's gradient vanishes or explodes, and whether it was to be expected",
    )
    parser.add_argument(
        "target",
        metavar="FILE.py:FUNCTION",
        help="a function without arguments that returns (model, batch) or (model, batch, loss_fn)",
    )
    parser.add_argument("--plot", metavar="FILE", help="draw the gradient by layer to a .png or .svg file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run_audit)
