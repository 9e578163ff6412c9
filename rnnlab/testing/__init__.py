"""The contract of cells and tasks, as checks to run on your own: in a test, or by `rnnlab verify`.

Example:
    >>> from rnnlab.testing import check_cell, check_task
    >>> check_task("parity")
    >>> check_cell("simple", engines=["numpy"])
"""

from rnnlab.testing.cells import check_cell
from rnnlab.testing.tasks import check_task

__all__ = ["check_cell", "check_task"]
