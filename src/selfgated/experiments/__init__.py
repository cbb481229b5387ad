"""What the chapters plot: one module per recorded chapter, recorded by ``make results`` into ``results/``.

A module ``selfgated.experiments.NAME`` has

- ``units(profile)``: list of (configuration, seeds), the grid of a profile;
- ``run(config, seeds, device)``: list of dicts, one for each seed (see `selfgated.sweep.run`);
- ``BUDGET``: seconds for each profile, tiny and quick on one CPU core, full on one H200;
- ``CIFAR = True``, if its rows depend on the CIFAR-10 images that `cifar_source` names.

It is imported on first use, because most need torch.
"""

import os
from importlib import import_module

__all__ = ["CIFAR_VARIABLE", "NAMES", "PROFILES", "cifar_source", "module"]

NAMES = (
    "signal_propagation",
    "deep_cnns",
    "fair_comparison",
    "remedies",
    "recurrent_networks",
    "learned_beta",
    "gated_transformers",
    "activation_search",
    "search_strategies",
    "two_core_search",
    "search_generalisation",
)
PROFILES = ("tiny", "quick", "full")
CIFAR_VARIABLE = "SELFGATED_CIFAR"


def module(name):
    """Import the module of an experiment.

    Parameters
    ----------
    name : str
        One of `NAMES`.

    Returns
    -------
    module
        With `units`, `run` and `BUDGET`.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name not in NAMES:
        raise ValueError(f"unknown experiment {name!r}; choose from {list(NAMES)}")
    return import_module(f"selfgated.experiments.{name}")


def cifar_source():
    """Name of the CIFAR-10 images, as `selfgated.data.load` takes it, and the label that tables print.

    Returns
    -------
    tuple of str
        ``("cifar10", "CIFAR-10")``, or what the variable SELFGATED_CIFAR names: ``folder:PATH`` is labelled
        ``CIFAR-10 (JPEG)``, because its images went through another file format.

    Raises
    ------
    ValueError
        If the variable names something else.

    Examples
    --------
    >>> cifar_source()
    ('cifar10', 'CIFAR-10')
    """
    source = os.environ.get(CIFAR_VARIABLE) or "cifar10"
    if source == "cifar10":
        return source, "CIFAR-10"
    if source.startswith("folder:") and len(source) > len("folder:"):
        return source, "CIFAR-10 (JPEG)"
    raise ValueError(f"unknown CIFAR-10 images {source!r}; choose cifar10 or folder:PATH")
