"""Packages that only some of the work needs: each belongs to an extra of rnnlab."""

import importlib.util

from rnnlab.core.errors import EnvironmentFault


def is_installed(package: str) -> bool:
    """Return whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def missing_package(problem: str, *, extra: str, where: str = "", instead: str = "") -> EnvironmentFault:
    """Return the error to raise where a package is not installed.

    Example:
        >>> print(missing_package("figures need the package matplotlib", extra="plots"))
        figures need the package matplotlib — pip install 'rnnlab[plots]'
    """
    hint = f"pip install 'rnnlab[{extra}]'" + (f", or {instead}" if instead else "")
    return EnvironmentFault(problem, where=where, hint=hint)
