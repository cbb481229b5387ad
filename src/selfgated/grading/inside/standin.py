"""The stand-in for `selfgated` inside the sandbox: self-checks do nothing, and nothing else is there."""

import importlib.abc
import importlib.machinery
import sys
import types


class Check:
    """A self-check that does nothing, whatever it is called with."""

    def __getattr__(self, name):
        """Return another one, but no special method."""
        if name.startswith("__"):
            raise AttributeError(name)
        return Check()

    def __call__(self, *_args, **_kwargs):
        """Do nothing."""


class Module(types.ModuleType):
    """`selfgated` or one of its modules."""

    __path__ = ()

    def __getattr__(self, name):
        """Return a self-check, or refuse."""
        if name.startswith("__"):
            raise AttributeError(name)
        full = f"{self.__name__}.{name}"
        if self.__name__.startswith("selfgated.checks"):
            return Check()
        if full == "selfgated.checks":
            return importlib.import_module(full)
        raise AttributeError(f"this assignment does not allow {full}; it allows selfgated.checks")


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `selfgated`, `selfgated.checks` and what is below it."""

    def find_spec(self, name, _path=None, _target=None):
        """Return where a module is from."""
        if name == "selfgated" or (name + ".").startswith("selfgated.checks."):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        """Make the module."""
        return Module(spec.name)

    def exec_module(self, _module):
        """Do nothing: there is no code."""


def install():
    """Let `selfgated` be imported as the stand-in."""
    sys.meta_path.insert(0, Finder())
