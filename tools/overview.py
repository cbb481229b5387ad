"""Draw book/_static/overview.png, the picture of the home page and the README."""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from selfgated import catalog, kernels, plotting

TARGET = Path(__file__).parents[1] / "book/_static/overview.png"
NAMES = ("silu", "gelu", "mish", "hard_swish")


def draw():
    """Return the figure: the four functions above, their gates below."""
    plotting.use_style()
    fig, (top, bottom) = plt.subplots(
        2, 1, sharex=True, figsize=(6.4, 4.6), gridspec_kw={"height_ratios": (2, 1)}
    )
    z = np.linspace(-5, 3, 1601)
    z = z[z != 0]
    for name in NAMES:
        record = catalog.get(name)
        look = {"color": record.colour, "marker": record.marker, "markevery": 200, "linestyle": "-"}
        f = getattr(kernels, name)(z)
        top.plot(z, f, label=record.title, **look)
        bottom.plot(z, f / z, **look)
    top.set(ylabel="$f(z)$", ylim=(-0.5, 2))
    top.legend()
    bottom.set(xlabel="pre-activation $z$", ylabel="gate $g(z)$")
    return fig


if __name__ == "__main__":
    plotting.save(draw().axes[0], TARGET)
