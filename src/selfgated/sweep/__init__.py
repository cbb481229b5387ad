"""Grids of runs into one store: resumable after any kill, on this machine or on a Ray cluster."""

from selfgated.sweep.errors import Interrupted, StoreError, SweepError, Unfinished
from selfgated.sweep.runner import ENGINES, run
from selfgated.sweep.store import Spent, Store
from selfgated.sweep.units import Failure, Unit, execute, grid, normalise, resolve

__all__ = [
    "ENGINES",
    "Failure",
    "Interrupted",
    "Spent",
    "Store",
    "StoreError",
    "SweepError",
    "Unfinished",
    "Unit",
    "execute",
    "grid",
    "normalise",
    "resolve",
    "run",
]
