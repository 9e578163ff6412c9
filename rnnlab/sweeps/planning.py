"""From a sweep's config to its plan: every trial resolved and checked before the first one starts."""

import copy
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from rnnlab.config.checking import Checker, shown
from rnnlab.config.document import Document, read_partly
from rnnlab.config.experiment import Experiment
from rnnlab.config.faults import raise_together
from rnnlab.config.load import SWEEP as SECTION
from rnnlab.config.load import check_document
from rnnlab.config.marks import KeyPath, Mark
from rnnlab.config.overrides import override_partly
from rnnlab.config.quoting import kind
from rnnlab.config.sweep import MOST_TRIALS, Range, SweepOptions
from rnnlab.config.yaml_writer import dump_yaml
from rnnlab.core.errors import ConfigError, UsageError
from rnnlab.core.naming import check_name
from rnnlab.sweeps.axes import Axis
from rnnlab.sweeps.combining import Values, combinations, faults_of, samples
from rnnlab.sweeps.naming import trial_name
from rnnlab.sweeps.plan import Plan, Trial
from rnnlab.sweeps.setting import put, settle_shards
from rnnlab.sweeps.study import require_optuna

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_SAMPLE = 100  # combinations of a search that are checked before it begins
_TRIALS_SHOWN = 3  # of those with one and the same fault


@final
@dataclass(frozen=True)
class Planned:
    """A sweep that can begin.

    Attributes:
        plan: Its trials.
        experiments: What each trains, by the trial's name.
        config: The sweep's config, bytes as given.
        base: Where the trials are yet to be proposed, what they share, as YAML; `experiments` then are a sample, drawn
            to see whether they can be.
    """

    plan: Plan
    experiments: Mapping[str, Experiment]
    config: bytes
    base: str = ""

    @property
    def configs(self) -> Mapping[str, str]:
        """The complete config of each trial as YAML, by the trial's name; written when asked for."""
        return _Configs(self.experiments)


class _Configs(Mapping[str, str]):
    def __init__(self, experiments: Mapping[str, Experiment]) -> None:
        self._experiments = experiments

    def __getitem__(self, name: str) -> str:
        return dump_yaml(self._experiments[name].resolved())

    def __iter__(self) -> Iterator[str]:
        return iter(self._experiments)

    def __len__(self) -> int:
        return len(self._experiments)


def plan_sweep(path: Path, overrides: Sequence[str] = ()) -> Planned:
    """Read a sweep's config and return what it asks for; nothing is created.

    Args:
        path: The YAML file; it may extend others.
        overrides: `training.steps=500`, `sweep.seeds=3` and the like.

    Raises:
        ConfigError: All that is wrong with the sweep or any of its trials, each fault at its place.
    """
    document = override_partly(read_partly(path), overrides)
    options = _options(document)
    base = _without_section(document)
    name = _name(base, path)
    values = _values(document, options)
    experiments = _experiments(base, document, values)
    if options.method == "tpe":
        require_optuna()
        plan = Plan(
            name=name, method="tpe", metric=options.metric, config_sha256=digest(document), trials=(), search=options
        )
        return Planned(plan, experiments, document.raw, base=dump_yaml(base.data))
    trials = [
        Trial(number=number, name=name, values=set_, sha256=experiment.sha256())
        for number, (set_, (name, experiment)) in enumerate(zip(values, experiments.items(), strict=True), start=1)
    ]
    made = tuple(trials)
    plan = Plan(name=name, method=options.method, metric=options.metric, config_sha256=digest(document), trials=made)
    return Planned(plan, experiments, document.raw)


def digest(document: Document) -> str:
    """Return the SHA-256 of a sweep's config, byte for byte."""
    return hashlib.sha256(document.raw).hexdigest()


def has_section(document: Document) -> bool:
    """Say whether a config describes a sweep."""
    return SECTION in document.data


def _options(document: Document) -> SweepOptions:
    checker = Checker(document)
    if not has_section(document):
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
    """Return the axes that can be used; of a choice between a list and a range, pydantic would tell both halves."""
    if not isinstance(axes, dict):
        return axes
    good: dict[str, Axis | None] = {}
    for key, axis in axes.items():
        at = (SECTION, "axes", key)
        if not _KEY.fullmatch(key):
            checker.refuse_key(at, hint="an axis is a dotted key of a config: cell.units, training.optimizer, seed")
        elif isinstance(axis, dict):
            good[key] = checker.block(Range, axis, at)
        elif isinstance(axis, list):
            good[key] = axis
        else:
            checker.refuse(at, f"got {shown(axis)}, expected a list of values, or a range with `from` and `to`")
    return {key: axis for key, axis in good.items() if axis is not None}


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
            raise UsageError(f"got {kind(name)}, expected text")  # one fault, one place
        check_name(name)
    except UsageError as error:
        raise ConfigError([UsageError(error.problem, where=base.where(("name",)), hint=error.hint)]) from error
    return name


def _values(document: Document, options: SweepOptions) -> list[Values]:
    """Return what each trial sets: every combination with every seed, the seeds side by side."""
    seed = document.data.get("seed", 0)
    try:
        first = seed if isinstance(seed, int) and seed >= 0 else 0
        is_search = options.method == "tpe"
        found = samples(options, seed=first, count=_SAMPLE) if is_search else combinations(options, seed=first)
        seeds = list(range(options.seeds)) if isinstance(options.seeds, int) else options.seeds
        if (options.trials or 0 if is_search else len(found)) * len(seeds or [0]) > MOST_TRIALS:
            problem = f"{len(found):,} combinations and {len(seeds or []):,} seeds, at most {MOST_TRIALS:,} trials"
            raise UsageError(problem, hint="take fewer")
    except UsageError as fault:
        where = document.where((SECTION,))
        raise ConfigError([UsageError(fault.problem, where=where, hint=fault.hint)]) from fault
    if is_search:
        seeds = seeds[:1] if seeds else None
    return [{**values, **({} if seeds is None else {"seed": one})} for values in found for one in seeds or [0]]


def _experiments(base: Document, document: Document, values: Sequence[Values]) -> dict[str, Experiment]:
    experiments: dict[str, Experiment] = {}
    faults = _Faults()
    setter, telling = _Setter(base, document), _telling(values)
    for number, set_ in enumerate(values, start=1):
        told = {key: value for key, value in set_.items() if key in telling}
        name = trial_name(number, told, total=len(values))
        try:
            experiments[name] = check_document(setter.document(name, set_), default_name=name)
        except ConfigError as error:
            faults.add(name, error.faults)
    faults.add_twins(experiments, document)
    raise_together(faults.together())
    return experiments


def _telling(values: Sequence[Values]) -> set[str]:
    """Return the keys that tell trials apart: those with more than one value."""
    seen: dict[str, set[str]] = {}
    for set_ in values:
        for key, value in set_.items():
            seen.setdefault(key, set()).add(json.dumps(value))
    return {key for key, texts in seen.items() if len(texts) > 1}


class _Setter:
    """Sets a trial's values in what all trials share, each with the place in the file that it comes from."""

    def __init__(self, base: Document, document: Document) -> None:
        self._base, self._document = base, document
        self._axes = document.data[SECTION].get("axes", {})

    def document(self, name: str, values: Values) -> Document:
        data = copy.deepcopy(self._base.data)
        marks, key_marks = dict(self._base.marks), dict(self._base.key_marks)
        for key, value in values.items():
            path, source = tuple(key.split(".")), self._source(key, value)
            put(data, path, copy.deepcopy(value), where=self._document.where(source))
            for known, origin in ((marks, self._document.marks), (key_marks, self._document.key_marks)):
                known.update(_moved(origin, source, path))
            marks[path] = key_marks[path] = self._document.mark(source)
        data["name"] = name
        settle_shards(data)
        return replace(self._base, data=data, marks=marks, key_marks=key_marks)

    def _source(self, key: str, value: Any) -> KeyPath:
        """Return where in the section a value stands: in a list of its own place, else with its axis."""
        axis = self._axes.get(key)
        if axis is None:
            return (SECTION, "seeds")
        at = (SECTION, "axes", key)
        return (*at, axis.index(value)) if isinstance(axis, list) and value in axis else at


def _moved(marks: Mapping[KeyPath, Mark], source: KeyPath, path: KeyPath) -> dict[KeyPath, Mark]:
    length = len(source)
    return {(*path, *at[length:]): mark for at, mark in marks.items() if at[:length] == source and len(at) > length}


class _Faults:
    """Faults of many trials: one that many have is told once, with their names."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], list[str]] = {}

    def add(self, trial: str, faults: Sequence[UsageError]) -> None:
        for fault in faults:
            self._found.setdefault((fault.where, fault.problem, fault.hint), []).append(trial)

    def add_twins(self, experiments: Mapping[str, Experiment], document: Document) -> None:
        """Add a fault for trials that would train the very same."""
        seen: dict[str, str] = {}
        for name, experiment in experiments.items():
            content = json.dumps({**experiment.resolved(), "name": ""}, sort_keys=True)
            if (first := seen.setdefault(content, name)) != name:
                problem = f"is the same training as trial {first}"
                hint = "take out what is listed twice, or an axis that changes nothing"
                self.add(name, [UsageError(problem, where=document.where((SECTION,)), hint=hint)])

    def together(self) -> list[UsageError]:
        return [
            UsageError(f"{problem} ({_listed(trials)})", where=where, hint=hint)
            for (where, problem, hint), trials in self._found.items()
        ]


def _listed(trials: Sequence[str]) -> str:
    more = f" and {len(trials) - _TRIALS_SHOWN:,} more" if len(trials) > _TRIALS_SHOWN else ""
    return f"trial{'s' * (len(trials) > 1)} {', '.join(trials[:_TRIALS_SHOWN])}{more}"
