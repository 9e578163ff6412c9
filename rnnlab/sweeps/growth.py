"""A sweep that grows: the same command with more values, seeds or trials trains what is new, and keeps the rest."""

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import final

from rnnlab.core.errors import UsageError
from rnnlab.storage.jsonfile import flatten
from rnnlab.sweeps.plan import Plan, Trial


@final
@dataclass(frozen=True)
class Growth:
    """A stored plan made larger.

    Attributes:
        plan: The stored plan with what a config adds; its trials keep their numbers and names.
        added: Each new trial, and its name in the plan of the config alone.
    """

    plan: Plan
    added: list[tuple[Trial, str]]


def grow(stored: Plan, new: Plan) -> Growth:
    """Return a stored plan with what the plan of a config has besides.

    Trials are the same if they train the same. A search gets more trials, proposed one after another, and nothing else.

    Raises:
        UsageError: The config lacks a trial of the stored plan, or is that of another search.
    """
    if stored.is_search or new.is_search:
        if fault := _fault_of_search(stored, new):
            raise UsageError(fault)
        changes = {"options": new.options, "config_sha256": new.config_sha256}
        return Growth(stored.model_copy(update=changes), [])
    left: defaultdict[str, list[Trial]] = defaultdict(list)
    for trial in stored.trials:
        left[trial.sha256].append(trial)
    added: list[tuple[Trial, str]] = []
    for trial in new.trials:
        if left[trial.sha256]:
            left[trial.sha256].pop()
        else:
            number = len(stored.trials) + len(added) + 1
            digits, *rest = trial.name.split("-", 1)
            name = "-".join([f"{number:0{len(digits)}d}", *rest])
            added.append((trial.model_copy(update={"number": number, "name": name}), trial.name))
    if missing := [trial for trials in left.values() for trial in trials]:
        first = min(missing, key=lambda trial: trial.number)
        count = f"{len(missing):,} of its {len(stored.trials):,} trials"
        rule = "a sweep can get more values and seeds, and keeps those that it has"
        raise UsageError(f"{count} are not in this config, the first {first.name}: {rule}")
    changes = {
        "options": new.options,
        "config_sha256": new.config_sha256,
        "trials": (*stored.trials, *(trial for trial, _ in added)),
    }
    return Growth(stored.model_copy(update=changes), added)


def _fault_of_search(stored: Plan, new: Plan) -> str:
    """Return why a search cannot become that of another plan; nothing where it only gets more trials."""
    if stored.is_search != new.is_search:
        return f"its method is {stored.options.method}, that of this config {new.options.method}"
    before, now = (
        dict(flatten({"sweep": plan.options.model_dump(mode="json", by_alias=True), **(plan.base or {})}))
        for plan in (stored, new)
    )
    keys = [key for key in before | now if before.get(key) != now.get(key) and key != "sweep.trials"]
    if keys:
        was, other = (json.dumps(values.get(keys[0])) for values in (before, now))
        difference = f"{keys[0]} is {was} there, {other} here"
        return f"{difference}: a search can get more `trials`, and all else stays"
    if (new.options.trials or 0) < (stored.options.trials or 0):
        return f"it has {stored.options.trials:,} trials, this config {new.options.trials:,}: it cannot get fewer"
    return ""
