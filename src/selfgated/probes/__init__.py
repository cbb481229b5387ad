"""Look into a model: where its gradient goes, which units are dead, and whether that could be predicted."""

from selfgated.probes.audit import Audit, audit
from selfgated.probes.decay import Decay
from selfgated.probes.measure import probe
from selfgated.probes.prediction import Prediction
from selfgated.probes.report import Activation, Block, Gradient, Layer, Report

__all__ = [
    "Activation",
    "Audit",
    "Block",
    "Decay",
    "Gradient",
    "Layer",
    "Prediction",
    "Report",
    "audit",
    "probe",
]
