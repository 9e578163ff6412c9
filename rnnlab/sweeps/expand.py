"""Expand the config of a sweep into its trials, and check each of them before the first one starts."""

import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnnlab.config.checking import Checker, shown
from rnnlab.config.document import Document, read_partly
from rnnlab.config.experiment import Experiment
from rnnlab.config.faults import raise_together
from rnnlab.config.load import SWEEP as SECTION
from rnnlab.config.load import check_document
from rnnlab.config.marks import KeyPath
from rnnlab.config.overrides import override_partly
from rnnlab.config.quoting import kind
from rnnlab.config.sweep import MOST_TRIALS, Range, SweepOptions
from rnnlab.core.errors import ConfigError, UsageError
from rnnlab.core.naming import check_name
from rnnlab.sweeps.axes import Axis, Values, combinations, faults_of, random_combinations
from rnnlab.sweeps.plan import CheckedSweep, Plan, Trial, trial_name

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_SAMPLES = 100  # combinations of a search that are checked before it begins
_TRIALS_SHOWN = 3  # names of trials with the same error


def check_sweep(path: Path, overrides: Sequence[str] = ()) -> CheckedSweep:
    """Read the config of a sweep and check all its trials; nothing is created.

    Args:
        path: The YAML file; it may extend others.
        overrides: `training.steps=500`, `sweep.seeds=3` and the like.

    Raises:
        ConfigError: All that is wrong with the sweep or any of its trials, each error at its place in the file.
    """
    document = override_partly(read_partly(path), overrides)
    options = _options(document)
    base = _without_section(document)
    name = _name(base, path)
    values = _values(document, options)
    experiments = _experiments(base, document, values)
    plan = Plan(name=name, config_sha256=hashlib.sha256(document.raw).hexdigest(), options=options, trials=())
    if plan.is_search:
        plan = plan.model_copy(update={"base": base.data})
    else:
        named = zip(values, experiments.items(), strict=True)
        plan = plan.with_trials(
            [
                Trial(number=number, name=name, values=each, sha256=experiment.sha256())
                for number, (each, (name, experiment)) in enumerate(named, start=1)
            ]
        )
    return CheckedSweep(plan, experiments, document.raw)


def trial_document(base: Document, name: str, values: Values, origin: Document | None = None) -> Document:
    """Return the config of one trial.

    Args:
        base: The config that all trials share.
        name: The trial's name.
        values: What the trial sets.
        origin: The config with the sweep's section: errors in a value point to it. None: they point to `base`.

    Raises:
        ConfigError: A value is to be set inside something that has no keys.
    """
    trial = replace(base, data=copy.deepcopy(base.data), marks=dict(base.marks), key_marks=dict(base.key_marks))
    for key, value in values.items():
        path, source = tuple(key.split(".")), _source(origin, key, value) if origin else ()
        _set(trial.data, path, copy.deepcopy(value), where=(origin or base).where(source))
        if origin:
            _copy_marks(origin, trial, source, path)
    trial.data["name"] = name
    numpy = trial.data.setdefault("numpy", {})
    if trial.data.get("backend", "numpy") == "numpy" and isinstance(numpy, dict):
        numpy.setdefault("shards", 1)  # each worker has one processor
    return trial


def _set(data: dict[str, Any], path: tuple[str, ...], value: Any, *, where: str) -> None:
    for length, key in enumerate(path[:-1], start=1):
        if data.get(key) is None:
            data[key] = {}
        if not isinstance(data[key], dict):
            at = ".".join(path[:length])
            hint = f"write `{at}:` as a mapping with `type`, or make all of it the axis"
            raise ConfigError([UsageError(f"{at} is {kind(data[key])} and has no keys", where=where, hint=hint)])
        data = data[key]
    data[path[-1]] = value


def _source(document: Document, key: str, value: Any) -> KeyPath:
    """Return the path of a value in the section: its place in a list, else that of its axis."""
    axis = document.data[SECTION].get("axes", {}).get(key)
    if axis is None:
        return (SECTION, "seeds")
    at = (SECTION, "axes", key)
    return (*at, axis.index(value)) if isinstance(axis, list) and value in axis else at


def _copy_marks(origin: Document, trial: Document, source: KeyPath, path: KeyPath) -> None:
    length = len(source)
    for marks, known in ((trial.marks, origin.marks), (trial.key_marks, origin.key_marks)):
        assert isinstance(marks, dict)
        inner = {(*path, *at[length:]): mark for at, mark in known.items() if at[:length] == source}
        marks.update({**inner, path: origin.mark(source)})


def _options(document: Document) -> SweepOptions:
    checker = Checker(document)
    if SECTION not in document.data:
        checker.refuse((), "no `sweep` section", hint="`rnnlab train CONFIG` trains a single config")
        raise_together(checker.faults())
    section = document.data[SECTION]
    if isinstance(section, dict):
        section = {**section, "axes": _axes(checker, section.get("axes", {}))}
    options = checker.block(SweepOptions, section, (SECTION,))
    raise_together(checker.faults())
    for path, fault in faults_of(options) if options else ():
        checker.refuse((SECTION, *path), fault.problem, hint=fault.hint)
    raise_together(checker.faults())
    assert options
    return options


def _axes(checker: Checker, axes: Any) -> Any:
    """Return the valid axes; each is checked alone, as pydantic would report both alternatives of list and range."""
    if not isinstance(axes, dict):
        return axes
    valid: dict[str, Axis | None] = {}
    for key, axis in axes.items():
        at = (SECTION, "axes", key)
        if not _KEY.fullmatch(key):
            checker.refuse_key(at, hint="an axis is a dotted key of a config: cell.units, training.optimizer, seed")
        elif isinstance(axis, dict):
            valid[key] = checker.block(Range, axis, at)
        elif isinstance(axis, list):
            valid[key] = axis
        else:
            checker.refuse(at, f"got {shown(axis)}, expected a list of values, or a range with `from` and `to`")
    return {key: axis for key, axis in valid.items() if axis is not None}


def _without_section(document: Document) -> Document:
    """Return what all trials share."""
    marks, key_marks = (
        {path: mark for path, mark in known.items() if path[:1] != (SECTION,)}
        for known in (document.marks, document.key_marks)
    )
    data = {key: value for key, value in document.data.items() if key != SECTION}
    return replace(document, data=data, marks=marks, key_marks=key_marks)


def _name(base: Document, path: Path) -> str:
    name = base.data.get("name", path.stem)
    try:
        if not isinstance(name, str):
            raise UsageError(f"got {kind(name)}, expected text")
        check_name(name)
    except UsageError as error:
        raise ConfigError([UsageError(error.problem, where=base.where(("name",)), hint=error.hint)]) from error
    return name


def _values(document: Document, options: SweepOptions) -> list[Values]:
    """Return the values of each trial: every combination with every seed; of a search, samples with the first seed."""
    given, is_search = document.data.get("seed", 0), options.method == "tpe"
    seed = given if isinstance(given, int) and given >= 0 else 0
    seeds = options.seed_list
    try:
        if is_search:
            found = random_combinations(options, seed=seed, count=_SAMPLES, tries=_SAMPLES)
        else:
            found = combinations(options, seed=seed)
        count = options.trials or 0 if is_search else len(found)
        if count * len(seeds or [0]) > MOST_TRIALS:
            problem = f"{count:,} combinations and {len(seeds or []):,} seeds, at most {MOST_TRIALS:,} trials"
            raise UsageError(problem, hint="take fewer")
    except UsageError as fault:
        where = document.where((SECTION,))
        raise ConfigError([UsageError(fault.problem, where=where, hint=fault.hint)]) from fault
    if seeds is None:
        return found
    return [{**values, "seed": seed} for values in found for seed in (seeds[:1] if is_search else seeds)]


def _experiments(base: Document, document: Document, values: Sequence[Values]) -> dict[str, Experiment]:
    experiments: dict[str, Experiment] = {}
    faults: dict[tuple[str, str, str], list[str]] = {}  # one error of many trials is reported once, with their names
    varied = _varied_keys(values)
    for number, each in enumerate(values, start=1):
        name = trial_name(number, {key: value for key, value in each.items() if key in varied}, total=len(values))
        try:
            experiments[name] = check_document(trial_document(base, name, each, document), default_name=name)
        except ConfigError as error:
            for fault in error.faults:
                faults.setdefault((fault.where, fault.problem, fault.hint), []).append(name)
    for name, twin in _twins(experiments).items():
        hint = "take out what is listed twice, or an axis that changes nothing"
        at = (document.where((SECTION,)), f"is the same training as trial {twin}", hint)
        faults.setdefault(at, []).append(name)
    raise_together(
        [
            UsageError(f"{problem} ({_listed(trials)})", where=where, hint=hint)
            for (where, problem, hint), trials in faults.items()
        ]
    )
    return experiments


def _varied_keys(values: Sequence[Values]) -> set[str]:
    seen: dict[str, set[str]] = {}
    for each in values:
        for key, value in each.items():
            seen.setdefault(key, set()).add(json.dumps(value))
    return {key for key, texts in seen.items() if len(texts) > 1}


def _twins(experiments: Mapping[str, Experiment]) -> dict[str, str]:
    """Return each trial that trains the same as an earlier one, and that one."""
    seen: dict[str, str] = {}
    twins: dict[str, str] = {}
    for name, experiment in experiments.items():
        content = json.dumps({**experiment.resolved(), "name": ""}, sort_keys=True)
        if (first := seen.setdefault(content, name)) != name:
            twins[name] = first
    return twins


def _listed(trials: Sequence[str]) -> str:
    more = f" and {len(trials) - _TRIALS_SHOWN:,} more" if len(trials) > _TRIALS_SHOWN else ""
    return f"trial{'s' * (len(trials) > 1)} {', '.join(trials[:_TRIALS_SHOWN])}{more}"
