"""The sandbox in which student code runs: bubblewrap, limits, a watchdog, and pipes that carry data only."""

from selfgated.grading.sandbox.command import find_sandbox
from selfgated.grading.sandbox.limits import Limits
from selfgated.grading.sandbox.process import Sandbox, SandboxFailure, Stopped

__all__ = ["Limits", "Sandbox", "SandboxFailure", "Stopped", "find_sandbox"]
