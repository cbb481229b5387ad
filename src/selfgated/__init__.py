"""Self-Gated: smooth activation functions of the form f(z) = z g(z), derived, implemented and measured.

Submodules are imported on first use, so that ``import selfgated`` stays fast and torch is loaded only
where it is needed.
"""

from importlib import import_module

__version__ = "0.1.0"
__all__ = [
    "catalog",
    "data",
    "experiments",
    "functional",
    "glance",
    "init",
    "kernels",
    "models",
    "modules",
    "moments",
    "plotting",
    "probes",
    "stacked",
    "statistics",
    "sweep",
    "symbolic",
    "train",
    "ulp",
]


def __getattr__(name):
    if name in __all__:
        return import_module(f"selfgated.{name}")
    raise AttributeError(f"module 'selfgated' has no attribute {name!r}; choose from {sorted(__all__)}")


def __dir__():
    return sorted([*globals(), *__all__])
