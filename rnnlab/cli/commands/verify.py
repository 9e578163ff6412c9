"""Show that CONFIG gives the same numbers on every backend, and that its gradients are right."""

from typing import Annotated

import typer

from rnnlab.cli.options import ConfigArgument, JsonOption, SetOption, VerboseOption, whole_number

_MOST_STEPS = 10_000


def _steps(given: str | int) -> int:
    steps = whole_number(given)
    if steps > _MOST_STEPS:
        raise typer.BadParameter(f"{steps:,} is more than {_MOST_STEPS:,}")
    return steps


def command(
    config: ConfigArgument,
    overrides: SetOption = None,
    steps: Annotated[
        int,
        typer.Option(parser=_steps, metavar="INTEGER", help="Updates after which the weights are compared."),
    ] = 20,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    from rnnlab.cli.render.output import plain_table, show, show_json
    from rnnlab.config.load import load_experiment
    from rnnlab.core.errors import VerificationError
    from rnnlab.inspection.verify import verify

    checks = list(verify(load_experiment(config, overrides or []).experiment, steps=steps))
    wrong = next((check for check in checks if not check.passed), None)
    if json:
        rows = [
            {
                "what": check.what,
                "against": check.against,
                "difference": check.difference,
                "rounding": check.rounding,
                "tolerance": check.tolerance,
                "passed": check.passed,
            }
            for check in checks
        ]
        show_json("verify", {"passed": wrong is None, "checks": rows})
    else:
        numbers = ("difference", "rounding", "tolerance")
        table = plain_table("what", "against", *numbers, numbers=numbers)
        for check in checks:
            figures = f"{check.difference:.1e}", f"{check.rounding:.1e}", f"{check.tolerance:.0e}"
            against = {"central differences": "slopes"}.get(check.against, check.against)  # 80 columns hold no more
            table.add_row(check.what, against if check.passed else f"{against}: OUT", *figures)
        show(table, f"{sum(check.passed for check in checks)} of {len(checks)} within tolerance")
    if wrong is not None:
        expected = f"expected at most {wrong.tolerance:.0e}"
        problem = f"{wrong.what} differs from {wrong.against} by {wrong.difference:.1e}, {expected}"
        raise VerificationError(problem, where=str(config))
