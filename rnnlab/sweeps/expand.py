"""Expand the config of a sweep into its trials, and check each of them before the first one starts."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnnlab.config.blocks import MOST_TRIALS, SweepOptions
from rnnlab.config.check import Checker
from rnnlab.config.code import SWEEP as SECTION
from rnnlab.config.code import with_code_files
from rnnlab.config.document import Document, Node, node_of
from rnnlab.config.errors import KeyPath, Position, kind, raise_all
from rnnlab.config.experiment import Experiment, in_full
from rnnlab.config.load import check_document
from rnnlab.config.reading import read_document
from rnnlab.core.errors import ConfigError, UsageError
from rnnlab.core.options import check_name
from rnnlab.sweeps.axes import Values, combinations, faults_of, random_combinations
from rnnlab.sweeps.plan import CheckedSweep, Plan, Trial, trial_name

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
    return check_sweep_document(read_document(path, overrides), default_name=path.stem)


def check_sweep_document(document: Document, *, default_name: str) -> CheckedSweep:
    """Check all trials of a sweep; nothing is created.

    Args:
        document: The config.
        default_name: The name of the sweep, where the config has none.

    Raises:
        ConfigError: As from `check_sweep`.
    """
    checker = Checker(document)
    document = with_code_files(checker)
    raise_all(checker.errors())
    options = _options(document)
    base = document.without(SECTION)
    name = _name(base, default_name)
    values = _values(document, options)
    experiments = _experiments(base, document, values)
    is_search = options.method == "tpe"
    trials = [
        Trial(number=number, name=name, values=values[number - 1], sha256=experiment.sha256())
        for number, (name, experiment) in enumerate(() if is_search else experiments.items(), start=1)
    ]
    plan = Plan(
        name=name,
        config_sha256=hashlib.sha256(document.raw).hexdigest(),
        options=options,
        base=base.data if is_search else None,
        trials=tuple(trials),
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
    root = base.root
    for key, value in values.items():
        source = _source(origin, key, value) if origin else ()
        node, position = origin.node(source) if origin else None, (origin or base).position(source)
        if node is None or node.plain() != value:
            node = node_of(value, position)
        with _at((origin or base).where(source)):
            root = root.with_value(tuple(key.split(".")), replace(node, key_position=position), in_full(root))
    file = Position(base.root.position.source)
    root = root.with_value(("name",), Node(name, file))
    backend, numpy = root.child("backend"), root.child("numpy") or Node({}, file)
    if (backend is None or backend.value == "numpy") and isinstance(numpy.value, dict):
        shards = Node({"shards": Node(1, file), **numpy.value}, file)  # each worker has one processor
        root = root.with_value(("numpy",), shards)
    return replace(base, root=root)


def _source(document: Document, key: str, value: Any) -> KeyPath:
    """Return the path of a value in the section: its place in a list, else that of its axis."""
    axis = document.data[SECTION].get("axes", {}).get(key)
    if axis is None:
        return (SECTION, "seeds")
    at = (SECTION, "axes", key)
    return (*at, axis.index(value)) if isinstance(axis, list) and value in axis else at


def _options(document: Document) -> SweepOptions:
    if SECTION not in document.data:
        hint = "`rnnlab train CONFIG` trains a single config"
        raise ConfigError([UsageError("no `sweep` section", where=document.where(()), hint=hint)])
    checker = Checker(document)
    options = checker.block(SweepOptions, document.data[SECTION], (SECTION,))
    for path, fault in faults_of(options) if options else ():
        checker.add((SECTION, *path), fault.problem, hint=fault.hint)
    raise_all(checker.errors())
    assert options
    return options


def _name(base: Document, default: str) -> str:
    name = base.data.get("name", default)
    with _at(base.where(("name",))):
        if not isinstance(name, str):
            raise UsageError(f"got {kind(name)}, expected text")
        check_name(name)
    return name


def _values(document: Document, options: SweepOptions) -> list[Values]:
    """Return the values of each trial: every combination with every seed; of a search, samples with the first seed."""
    given, is_search = document.data.get("seed", 0), options.method == "tpe"
    seed = given if isinstance(given, int) and given >= 0 else 0
    seeds = options.seed_list
    with _at(document.where((SECTION,))):
        if is_search:
            found, count = random_combinations(options, seed=seed, count=_SAMPLES, tries=_SAMPLES), options.trials or 0
        else:
            found = combinations(options, seed=seed)
            count = len(found)
        if count * len(seeds or [0]) > MOST_TRIALS:
            problem = f"{count:,} combinations and {len(seeds or []):,} seeds, at most {MOST_TRIALS:,} trials"
            raise UsageError(problem, hint="take fewer")
    if seeds is None:
        return found
    return [{**values, "seed": seed} for values in found for seed in (seeds[:1] if is_search else seeds)]


@contextmanager
def _at(where: str) -> Iterator[None]:
    """Raise a `UsageError` of the block as a `ConfigError` at this place."""
    try:
        yield
    except UsageError as error:
        raise ConfigError([UsageError(error.problem, where=where, hint=error.hint)]) from error


def _experiments(base: Document, document: Document, values: Sequence[Values]) -> dict[str, Experiment]:
    experiments: dict[str, Experiment] = {}
    faults: dict[tuple[str, str, str], list[str]] = {}  # one error of many trials is reported once, with their names
    texts = {(key, json.dumps(value)) for each in values for key, value in each.items()}
    varied = {key for key, count in Counter(key for key, _ in texts).items() if count > 1}
    twins: dict[str, str] = {}  # the first trial with the same content
    for number, each in enumerate(values, start=1):
        name = trial_name(number, {key: value for key, value in each.items() if key in varied}, total=len(values))
        try:
            experiments[name] = check_document(trial_document(base, name, each, document), default_name=name)
        except ConfigError as error:
            for fault in error.faults:
                faults.setdefault((fault.where, fault.problem, fault.hint), []).append(name)
            continue
        content = json.dumps({**experiments[name].resolved(), "name": ""}, sort_keys=True)
        if (first := twins.setdefault(content, name)) != name:
            hint = "take out what is listed twice, or an axis that changes nothing"
            at = (document.where((SECTION,)), f"is the same training as trial {first}", hint)
            faults.setdefault(at, []).append(name)
    raise_all(
        [
            UsageError(f"{problem} ({_listed(trials)})", where=where, hint=hint)
            for (where, problem, hint), trials in faults.items()
        ]
    )
    return experiments


def _listed(trials: Sequence[str]) -> str:
    more = f" and {len(trials) - _TRIALS_SHOWN:,} more" if len(trials) > _TRIALS_SHOWN else ""
    return f"trial{'s' * (len(trials) > 1)} {', '.join(trials[:_TRIALS_SHOWN])}{more}"
