"""Whether our result agrees with the printed one, by the rule that the row states beforehand."""

from dataclasses import dataclass
from typing import Literal, final

from rnnlab.reproduction.published import SEQUENCES
from rnnlab.reproduction.results import Result

Conclusion = Literal["agrees", "differs", "not reached"]


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """A conclusion and why; `not reached`: too few trials solve the task, so that the rest is not looked at."""

    conclusion: Conclusion
    reason: str


def verdict(result: Result) -> Verdict | None:
    """Return the verdict; None until the row is finished.

    Example:
        A rule of `{solved: 0.9, ratio: [0.5, 2]}` and a printed value of 74,000 sequences:

        - 10 of 10 trials solved, 60,000 sequences in the mean: agrees, with a ratio of 0.81
        - 10 of 10 trials solved, 20,000 sequences in the mean: differs, with a ratio of 0.27
        - 7 of 10 trials solved: not reached
    """
    if result.state != "finished":
        return None
    published, solved, ended = result.row.published, len(result.solved), len(result.ended)
    rule, facts = published.agrees, list[str]()
    if rule.solved is not None:
        facts.append(f"{solved} of {ended} trials are solved, the rule asks for {rule.solved:.0%}")
        if solved < rule.solved * ended - 1e-9:
            return Verdict("not reached", facts[0])
    if result.value is None:
        why = "no trial is solved" if published.measure == SEQUENCES else f"no trial has a finite {published.measure}"
        return Verdict("not reached", why)
    parts = {"the ratio to the printed value": (result.ratio, rule.ratio), "our value": (result.value, rule.value)}
    agrees = True
    for name, (value, bounds) in parts.items():
        if bounds is not None and value is not None:
            is_inside = bounds[0] <= value <= bounds[1]
            agrees = agrees and is_inside
            relation = "within" if is_inside else "outside"
            facts.append(f"{name} is {value:.3g}, {relation} {bounds[0]:g} to {bounds[1]:g}")
    return Verdict("agrees" if agrees else "differs", "; ".join(facts))
