"""The registry of diagnoses: one file each, which computes it, puts it into words and describes its figure."""

from typing import Any

from rnnlab.core.registry import Registry
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis


def _check(name: str, member: Any) -> None:
    """Pass if a package outside rnnlab exports what a file in this folder exports."""
    if not isinstance(member, AbstractDiagnosis):
        raise TypeError(f"{name} is not an AbstractDiagnosis")


_REGISTRY = Registry("rnnlab.inspection.diagnoses", "DIAGNOSIS", "diagnosis", _check)


def diagnoses() -> dict[str, AbstractDiagnosis[Any]]:
    """Return all diagnoses by name, in the order in which they are shown.

    Example:
        >>> list(diagnoses())[:3], [name for name, one in diagnoses().items() if not one.is_default]
        (['gradient', 'gradient-history', 'jacobian'], ['gradient-history', 'fixed-points', 'sample'])
    """
    members = {name.replace("_", "-"): member for name, member in _REGISTRY.members().items()}
    return dict(sorted(members.items(), key=lambda item: (item[1].position, item[0])))
