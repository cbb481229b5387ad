"""``selfgated act``: what the library knows about one activation."""

import json
import re

from selfgated import catalog

__all__ = ["add"]

DIGITS = 12


def _finite_text(value):
    return "oo" if value == float("inf") else "-oo" if value == -float("inf") else f"{value:.{DIGITS}g}"


def _act(args):
    """Return what the library knows about one activation, as plain data."""
    record = catalog.get(args.name)
    given = {} if args.beta is None else {"beta": args.beta}
    params = record.parameters(given)

    # SymPy and SciPy load only once the name is known to be good.
    from mpmath import nstr
    from sympy import Rational

    from selfgated import moments, symbolic

    gains = moments.gains(record.name, **params)  # also checks the value of the parameter
    given = {
        key: Rational(repr(value)) for key, value in given.items()
    }  # 1.702 as the decimal that was typed
    limits = symbolic.limits(record.name, **params)
    gate = symbolic.gate(record.name, **given)
    return {
        "name": record.name,
        "title": record.title,
        "aliases": list(record.aliases),
        "parameters": params,
        "definition": str(symbolic.definition(record.name, **given)),
        "gate": None if gate is None else str(gate),
        "slope": str(symbolic.derivative(record.name, 1, **given)),
        "limits": {
            key: _finite_text(float(getattr(limits, key)))
            for key in ("f_left", "f_right", "grad_left", "grad_right")
        },
        "extrema": {
            symbol: [
                {
                    "kind": found.kind,
                    "where": nstr(found.where_digits, DIGITS),
                    "value": nstr(found.value_digits, DIGITS),
                    "where_exact": None if found.where is None else str(found.where),
                    "value_exact": None if found.value is None else str(found.value),
                }
                for found in symbolic.extrema(record.name, order, DIGITS + 3, **given)
            ]
            for order, symbol in enumerate(("f", "f'"))
        },
        "gains": {"forward": gains.forward, "backward": gains.backward},
        "smoothness": record.smoothness,
        "kinks": [kink._asdict() for kink in record.kinks],
        "source": None if record.source is None else record.source._asdict(),
    }


def _act_lines(info):
    limits = info["limits"]
    yield info["title"] + "".join(f", {key} = {value:g}" for key, value in info["parameters"].items())
    yield f"  f(z)       {info['definition']}"
    if info["gate"] is not None:
        yield f"  gate       {info['gate']}"
    yield f"  f'(z)      {info['slope']}"
    yield f"  z -> -oo   f -> {limits['f_left']}, f' -> {limits['grad_left']}"
    yield f"  z -> +oo   f -> {limits['f_right']}, f' -> {limits['grad_right']}"
    for symbol, extrema in info["extrema"].items():
        for found in extrema:
            exact = [
                f"{key} = {found[key + '_exact']}" for key in ("where", "value") if found[key + "_exact"]
            ]
            yield f"  {symbol + ' ' + found['kind']:<10} {found['value']} at z = {found['where']}" + (
                f"   ({', '.join(exact)})" if exact else ""
            )
        if not extrema:
            yield f"  {symbol:<10} no interior extremum"
    if any(re.search(r"\bu\b", found["where_exact"] or "") for found in info["extrema"]["f'"]):
        yield "             (u is the positive solution of u = coth u)"
    forward, backward = (f"{info['gains'][key]:.{DIGITS}g}" for key in ("forward", "backward"))
    yield f"  gains      forward {forward}, backward {backward}   (z ~ N(0, 1))"
    yield f"  smoothness {info['smoothness']}"
    for kink in info["kinks"]:
        yield f"  kink       at z = {kink['where']:g} the library returns f' = {kink['slope']:g}, f'' = 0"
    if info["aliases"]:
        yield f"  also       {', '.join(info['aliases'])}"
    if info["source"] is not None:
        yield f"  source     {info['source']['citation']} [{info['source']['key']}]"


def _run_act(args):
    info = _act(args)
    print(json.dumps(info, indent=2) if args.json else "\n".join(_act_lines(info)))
    return 0


def add(commands):
    """Add ``act`` to the subparsers `commands`."""
    parser = commands.add_parser("act", help="definition, slope, limits, extrema and gains of one activation")
    parser.add_argument("name", metavar="NAME", help="a name or alias, such as gelu or swish-1")
    parser.add_argument("--beta", type=float, help="parameter of swish, any finite number (default 1)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run_act)
