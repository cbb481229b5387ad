"""What the library knows about one activation, at a glance: the table that closes each chapter."""

from mpmath import nstr
from sympy import latex

from selfgated import catalog, moments, symbolic

__all__ = ["table"]

DIGITS = 10


def table(name, *, caption=None, label=None):
    """MyST table of definition, slope, extrema, limits, gains and source of an activation.

    Parameters
    ----------
    name : str
        Canonical name or alias; parameters have their defaults.
    caption, label : str, optional
        Caption and reference label of the table.

    Returns
    -------
    str
        Markdown, for ``IPython.display.Markdown``. Every number is computed.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    record = catalog.get(name)
    gains = moments.gains(record.name)
    rows = [("definition", f"$f(z) = {record.formula}$")]
    if record.gate is not None:
        rows.append(("gate", f"$g(z) = {record.gate}$"))
    for order, title in enumerate(("extrema", "extrema of the slope")):
        points = [_point(e, order) for e in symbolic.extrema(record.name, order)]
        rows.append((title, "; ".join(points) or "none is reached at a smooth point"))
    f, df = "f", "f'"
    rows += [
        ("at zero", f"${_at_zero(record.name, 0, f)}$, ${_at_zero(record.name, 1, df)}$"),
        ("far left and right", _ends(record.name)),
        ("smoothness", record.smoothness),
        ("gain, forward and backward", f"{gains.forward:.{DIGITS}g} and {gains.backward:.{DIGITS}g}"),
    ]
    if record.source is not None:
        rows.append(("source", f"{{cite:t}}`{record.source.key}`"))
    body = "\n".join(["| | |", "|:--|:--|", *(f"| {key} | {value} |" for key, value in rows)])
    if label is None and caption is None:
        return body
    return f"```{{table}} {caption or record.title}\n:name: {label}\n\n{body}\n```"


def _point(extremum, order):
    """One extremum, in closed form where there is one."""
    symbol = ("f", "f'")[order]
    where, value = (nstr(v, DIGITS) for v in (extremum.where_digits, extremum.value_digits))
    exact = ""
    if extremum.where is not None:
        exact = f" (exactly ${latex(extremum.value)}$ at ${latex(extremum.where)}$)"
    return f"${symbol} = {value}$ at $z = {where}${exact}"


def _at_zero(name, order, symbol):
    return f"{symbol}(0) = {float(symbolic.evaluate(name, order, 0)):.6g}"


def _ends(name):
    ends = symbolic.limits(name)
    return (
        f"$f \\to {latex(ends.f_left)}$, $f' \\to {latex(ends.grad_left)}$; "
        f"$f \\to {latex(ends.f_right)}$, $f' \\to {latex(ends.grad_right)}$"
    )
