"""Combinations that are proposed one after another, each by what those before it came to.

They come from Optuna's tree-structured Parzen estimator.

    study/journal.log   Optuna's own record of the study, which its dashboard reads, too
    study/base.yaml     what all trials share
    study/lock-0001.json  who proposes: one process at a time

A proposal follows from the config's seed, its number, and what was told before it; so a sweep with one worker that is
killed and repeated proposes the same. With several workers the order in which they end decides.

Source: Bergstra, Bardenet, Bengio & Kégl 2011, Algorithms for hyper-parameter optimization, NeurIPS; Akiba et al. 2019,
Optuna, KDD.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, final

from rnnlab.config.document import document_of
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import check_document
from rnnlab.config.sweep import Range
from rnnlab.core.errors import ConfigError, RunLockedError
from rnnlab.core.streams import stream
from rnnlab.core.text import visible
from rnnlab.runs.rows import look_up
from rnnlab.storage.files import ensure_folder
from rnnlab.storage.lock import Lock, acquire
from rnnlab.sweeps.axes import values_of
from rnnlab.sweeps.combining import Values, groups_of, holds
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.naming import trial_name
from rnnlab.sweeps.plan import Trial
from rnnlab.sweeps.setting import put, settle_shards
from rnnlab.sweeps.states import Standing
from rnnlab.sweeps.study import open_study, optuna_itself, suggest_number, suggest_place

_TRIES = 60  # proposals in a row that are known or refused; then there is nothing new to propose
_STARTUP = 10  # combinations at random before the first that follows from others


@final
class Proposals:
    """The combinations of one sweep, those there are and those to come; close it in the end.

    Args:
        sweep: The sweep.

    Attributes:
        plan: Its plan, which grows.

    Raises:
        RunLockedError: Another process proposes for this sweep.
        VerificationError: What is remembered of the study is damaged.
        EnvironmentFault: Optuna is not installed.
    """

    def __init__(self, sweep: SweepFolder) -> None:
        optuna_itself()
        ensure_folder(sweep.study)
        self._sweep, self._lock = sweep, _locked(sweep)
        try:
            self.plan = sweep.read_plan()  # now that nobody else makes it grow
            assert self.plan.search is not None
            self._options = self.plan.search
            self._base = document_of(sweep.read_base(), str(sweep.study / "base.yaml"))
            self._study = open_study(sweep, self.plan)
            self._results: dict[str, float | None] = {}  # None: it failed
            self._live: dict[int | None, Any] = {}  # Optuna's own object of each proposal of this process
            self.is_exhausted = False
            self._forget_unplanned()
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """Let others propose."""
        self._lock.release()

    @property
    def has_more(self) -> bool:
        """Whether there is a combination to propose."""
        return not self.is_exhausted and len({trial.proposal for trial in self.plan.trials}) < self._wanted

    @property
    def _wanted(self) -> int:
        return self._options.trials or 0

    def take_stock(self, found: Sequence[Standing]) -> None:
        """Tell what was trained before."""
        for one in found:
            if one.is_over:
                self.ended(one.trial, one.state, self._result(one.trial) if one.state == "completed" else None)

    def ended(self, trial: Trial, state: str, result: float | None) -> None:
        """Take what a trial came to; the combination is told once all its seeds have ended."""
        if state == "interrupted":
            return
        if state == "pruned" and trial.proposal is not None:
            self._tell(trial.proposal, None, pruned=True)
            return
        self._results[trial.name] = result if state == "completed" else self._worst() if state == "diverged" else None
        alike = [one for one in self.plan.trials if one.proposal == trial.proposal]
        results = [self._results.get(one.name, "open") for one in alike]
        if "open" not in results and trial.proposal is not None:
            known = [value for value in results if isinstance(value, float)]
            self._tell(trial.proposal, sum(known) / len(known) if len(known) == len(alike) else None)

    def gives_up(self, trial: Trial, step: int, value: float) -> bool:
        """Say whether a trial with this score will not be among the best; one resumed from a killed process may be."""
        asked = self._live.get(trial.proposal)
        if asked is None:
            return False
        asked.report(value, step)
        return bool(asked.should_prune())

    def next(self) -> list[Trial]:
        """Return the trials of a new combination, a seed each, planned and ready to be trained; none if none is new."""
        known = {self._key(trial.values) for trial in self.plan.trials}
        for number in range(_TRIES):
            asked = self._ask(len(known), number)
            values = self._suggested(asked)
            if self._key(values) not in known and (trials := self._planned(asked.number, values)):
                self._live[asked.number] = asked
                return trials
            self._tell(asked.number, None)
        self.is_exhausted = True
        return []

    def _ask(self, planned: int, tries: int) -> Any:
        # By what is planned and not by what was asked: a process that was killed may have asked for nothing.
        optuna, number = optuna_itself(), planned * _TRIES + tries
        seed = int(stream(self._base.data.get("seed", 0) or 0, "sweep/tpe", number).integers(2**31))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A fresh sampler for each, so that nothing but the study is remembered.
            self._study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP, constant_liar=True)
        return self._study.ask()

    def _suggested(self, asked: Any) -> Values:
        values: Values = {}
        for keys in self._in_order():
            if len(keys) == 1 and not holds(keys[0], values, self._options.when):
                continue
            drawn = {**values, **self._drawn(asked, keys)}
            values = {key: value for key, value in drawn.items() if holds(key, drawn, self._options.when)}
        return values

    def _drawn(self, asked: Any, keys: Sequence[str]) -> Values:
        axes = [self._options.axes[key] for key in keys]
        if len(keys) == 1 and isinstance(axes[0], Range) and axes[0].count is None and axes[0].step is None:
            return {keys[0]: suggest_number(asked, keys[0], axes[0])}
        columns = [values_of(axis) for axis in axes]
        place = suggest_place(asked, "+".join(keys), len(columns[0]), ordered=isinstance(axes[0], Range))
        return {key: column[place] for key, column in zip(keys, columns, strict=True)}

    def _in_order(self) -> list[list[str]]:
        """Return the axes in their groups, each after those that decide whether it counts."""
        left, done, ordered = groups_of(self._options), set[str](), list[list[str]]()
        while left:
            ready = [keys for keys in left if all({*self._options.when.get(key, ())} <= done | {*keys} for key in keys)]
            for keys in ready or left:  # conditions in a circle were refused before
                ordered.append(keys)
                done |= set(keys)
            left = [keys for keys in left if keys not in ordered]
        return ordered

    def _planned(self, proposal: int, values: Values) -> list[Trial]:
        """Return the trials of a combination, once their configs and the plan are on the disk; none if it cannot be."""
        seeds = self._options.seeds
        listed = list(range(seeds)) if isinstance(seeds, int) else seeds
        total = self._wanted * len(listed or [0])
        trials: list[Trial] = []
        for seed in listed or [None]:  # type: ignore[list-item]
            told = values if seed is None else {**values, "seed": seed}
            number = len(self.plan.trials) + len(trials) + 1
            name = trial_name(number, told, total=total)
            try:
                experiment = self.experiment(name, told)
            except ConfigError:  # some combinations exclude each other; the sampler learns that they fail
                return []
            trial = Trial(number=number, name=name, values=told, sha256=experiment.sha256(), proposal=proposal)
            self._sweep.write_config(trial, experiment)
            trials.append(trial)
        self.plan = self.plan.model_copy(update={"trials": (*self.plan.trials, *trials)})
        self._sweep.write_plan(self.plan)
        return trials

    def experiment(self, name: str, values: Mapping[str, Any]) -> Experiment:
        """Return what a trial trains.

        Raises:
            ConfigError: These values cannot go together.
        """
        data = json.loads(json.dumps(self._base.data))
        for key, value in values.items():
            put(data, tuple(key.split(".")), value, where=str(self._sweep.path))
        data["name"] = name
        settle_shards(data)
        document = document_of(json.dumps(data), str(self._sweep.path))
        return check_document(document, default_name=name)

    def _forget_unplanned(self) -> None:
        """Fail what was asked by a process that was killed before it could plan it."""
        planned = {trial.proposal for trial in self.plan.trials}
        for one in self._study.get_trials(deepcopy=False):
            if not one.state.is_finished() and one.number not in planned:
                self._tell(one.number, None)

    def _tell(self, number: int, value: float | None, *, pruned: bool = False) -> None:
        optuna = optuna_itself()
        if self._study.get_trials(deepcopy=False)[number].state.is_finished():
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if value is None:
                state = optuna.trial.TrialState.PRUNED if pruned else optuna.trial.TrialState.FAIL
                self._study.tell(number, state=state)
            else:
                self._study.tell(number, value)

    def _result(self, trial: Trial) -> float | None:
        value = look_up(self._sweep.run(trial).read_summary(), self.plan.metric.name)
        return float(value) if isinstance(value, int | float) and isfinite(value) else None

    def _worst(self) -> float:
        return float("inf") if self.plan.metric.goal == "minimize" else float("-inf")

    def _key(self, values: Mapping[str, Any]) -> str:
        """Return what tells a combination from others: not the seeds, each of which every combination is given."""
        given = set() if self._options.seeds is None else {"seed"}
        return json.dumps({key: value for key, value in values.items() if key not in given}, sort_keys=True)


def _locked(sweep: SweepFolder) -> Lock:
    try:
        return acquire(sweep.study, after=0)
    except RunLockedError as error:
        problem = error.problem.replace("trained", "searched")
        raise RunLockedError(problem, where=visible(str(sweep.path)), hint="wait until it is done") from error
