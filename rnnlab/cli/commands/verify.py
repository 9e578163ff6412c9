"""Check the gradients of CONFIG, and its results on every backend.

Gradients are compared with central differences, and the backends with NumPy: outputs, loss, gradients, and the
weights after training. A cell or a task of your own, ./my_task.py:MyTask in place of CONFIG, is tested as those of
rnnlab are.
"""

from dataclasses import asdict
from typing import Annotated

from rnnlab.cells.base import AbstractCell
from rnnlab.cli.options import ConfigArgument, JsonOption, SetOption, VerboseOption, option, whole_number_to
from rnnlab.cli.render.output import show, show_json
from rnnlab.cli.render.tables import show_table
from rnnlab.config.load import load_experiment
from rnnlab.core.code_files import CodeFile, located
from rnnlab.core.errors import VerificationError
from rnnlab.core.table import Column, table
from rnnlab.inspection.verify import Check, verify
from rnnlab.testing import check_cell, check_task

_FORMS = {"difference": ".1e", "rounding": ".1e", "tolerance": ".0e"}


def command(
    config: ConfigArgument,
    overrides: SetOption = None,
    steps: Annotated[
        int, option("INTEGER", "Training steps after which the weights are compared.", parser=whole_number_to(10_000))
    ] = 20,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    if own := CodeFile.of(str(config)):
        _verify_own(str(config), own.name, json=json)
        return
    checks = list(verify(load_experiment(config, overrides or []).experiment, steps=steps))
    wrong = next((check for check in checks if not check.passed), None)
    if json:
        found = [{**asdict(check), "passed": check.passed} for check in checks]
        show_json("verify", {"passed": wrong is None, "checks": found})
    else:
        rows = [(one.what, _against(one), one.difference, one.rounding, one.tolerance) for one in checks]
        numbers = [Column(name, True, form) for name, form in _FORMS.items()]
        show_table(table(["what", "against", *numbers], rows, text=["against"]))
        compared = [check for check in checks if not check.kink]
        left = len(checks) - len(compared)
        rest = f"; {left} left out, where the loss has a kink" if left else ""
        show(f"{sum(check.passed for check in compared)} of {len(compared)} within tolerance{rest}")
    if wrong is not None:
        expected = f"expected at most {wrong.tolerance:.0e}"
        problem = f"{wrong.what} differs from {wrong.against} by {wrong.difference:.1e}, {expected}"
        raise VerificationError(problem, where=str(config))


def _verify_own(name: str, label: str, *, json: bool) -> None:
    """Test a class in a file: as a cell if it is one, else as a task."""
    file = located(name)
    kind = CodeFile.of(file)
    is_cell = kind and isinstance(found := kind.load(), type) and issubclass(found, AbstractCell)
    (check_cell if is_cell else check_task)(name)
    if json:
        show_json("verify", {"passed": True, "checks": []})
    else:
        show(f"{label} keeps the contract of every {'cell' if is_cell else 'task'}")


def _against(check: Check) -> str:
    short = check.against.replace("differences", "diff.")  # for 80 columns
    return f"{short}: kink" if check.kink else short if check.passed else f"{short}: OUT"
