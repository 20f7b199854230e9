"""Packages whose public names are imported at first use, so that importing the package costs nothing."""

import importlib
import sys
from types import ModuleType


class LazyPackage(ModuleType):
    """A package that imports its public names when they are first asked for.

    A function may bear the name of its module (``fixed_points``): Python binds an imported submodule to its package,
    and ``__setattr__`` keeps that from hiding the function.
    """

    def __getattr__(self, name):
        if name not in self._exports:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}: known names are {self.__all__}")
        home = self._exports[name]
        module = importlib.import_module(f"{self.__name__}.{home or name}")
        value = getattr(module, name) if home else module
        self.__dict__[name] = value
        return value

    def __setattr__(self, name, value):
        if not (isinstance(value, ModuleType) and name in self._exports):
            super().__setattr__(name, value)

    def __dir__(self):
        return sorted(set(self.__dict__) | set(self._exports))


def attach(package, exports):
    """Make ``package`` (its dotted name) offer the names of ``exports``.

    ``exports`` maps each public name to the submodule that defines it, or to None where the name is a submodule itself.
    """
    module = sys.modules[package]
    module._exports = exports
    module.__all__ = sorted(exports)
    module.__class__ = LazyPackage
