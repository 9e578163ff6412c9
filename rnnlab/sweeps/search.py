"""Method tpe: Optuna proposes the values of each trial from the results of those before it.

    study/journal.log     Optuna's record of the study, which its dashboard reads too
    study/lock-0001.json  the one process that proposes

A proposal depends only on the config's seed, its number, and the results reported before it. So a sweep with one worker
that is killed and repeated proposes the same; with several workers the order in which they end matters.

Source: Bergstra, Bardenet, Bengio & Kégl 2011, Algorithms for hyper-parameter optimization, NeurIPS (tree-structured
Parzen estimator); Akiba et al. 2019, Optuna, KDD.
"""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from statistics import fmean
from types import ModuleType
from typing import TYPE_CHECKING, final

from rnnlab.config.blocks import LARGEST_SEED, Range
from rnnlab.config.load import check_document
from rnnlab.config.reading import document_of
from rnnlab.core.errors import ConfigError, RnnlabError, VerificationError
from rnnlab.core.packages import missing_package
from rnnlab.core.streams import stream
from rnnlab.core.system_errors import system_error
from rnnlab.storage.files import write_atomic
from rnnlab.storage.reading import kind, read_bytes
from rnnlab.sweeps.axes import Values, condition_holds, exact, groups_of, has_integers, is_open, values_of
from rnnlab.sweeps.expand import trial_document
from rnnlab.sweeps.folder import SweepFolder, locked
from rnnlab.sweeps.plan import Trial, trial_name
from rnnlab.sweeps.status import TrialStatus
from rnnlab.training.stopping import Stop
from rnnlab.training.waiting import waiting

if TYPE_CHECKING:
    from optuna import Study
    from optuna import Trial as OptunaTrial

_TRIES = 60  # proposals in a row that are known or invalid, after which the search ends
_RANDOM = 10  # combinations at random before the first that depends on results
_LARGEST_JOURNAL, _LONGEST_LINE = 1 << 28, 1 << 20  # bytes


@contextmanager
def open_search(sweep: SweepFolder, stop: Stop | None = None) -> "Iterator[Search]":
    """Open the search of a sweep, which only one process may have open; a `stop` ends the wait for its lock.

    Raises:
        RunLockedError: Another process proposes for this sweep.
        VerificationError: Optuna's record is damaged.
        EnvironmentFault: Optuna is not installed.
    """
    optuna = import_optuna()
    with locked(sweep.study, "searched", pause=waiting(sweep.study, stop)):
        yield Search(sweep, optuna)


@final
class Search:
    """The search of one sweep; `open_search` opens it.

    Attributes:
        plan: Its plan, which gets longer with each proposal.
    """

    def __init__(self, sweep: SweepFolder, optuna: ModuleType) -> None:
        self._optuna, self._sweep = optuna, sweep
        self.plan = sweep.read_plan()  # only with the lock: another process might have made it longer until here
        self._options = self.plan.options
        self._base = document_of(json.dumps(self.plan.base), str(sweep.path))
        self._journal = sweep.study / "journal.log"
        with self._verified():
            self._study = self._open_study()
        self._results: dict[str, float | None] = {}  # by the trial's name; None if it failed
        self._running: dict[int | None, OptunaTrial] = {}  # by the proposal's number
        self._is_exhausted = False
        planned = {trial.proposal for trial in self.plan.trials}
        with self._verified():
            recorded = {one.number for one in self._study.get_trials(deepcopy=False)}
            if planned - recorded:
                raise ValueError("it lacks proposals of plan.json")
            for number in recorded - planned:  # a killed process had asked for it
                self._tell(number, None)

    @property
    def has_more(self) -> bool:
        """Whether there is another combination to propose."""
        proposed = {trial.proposal for trial in self.plan.trials}
        return not self._is_exhausted and len(proposed) < (self._options.trials or 0)

    def report(self, status: TrialStatus) -> None:
        """Report a trial that has ended to Optuna; with several seeds, the mean once all of them have ended."""
        trial, state = status.trial, status.state
        if trial.proposal is None or state not in {"completed", "pruned", "diverged", "failed"}:
            return
        if state == "pruned":
            self._tell(trial.proposal, None, pruned=True)
            return
        worst = inf if self._options.metric.goal == "minimize" else -inf
        self._results[trial.name] = {"completed": status.result, "diverged": worst}.get(state)
        seeds = [one.name for one in self.plan.trials if one.proposal == trial.proposal]
        if all(name in self._results for name in seeds):
            results = [value for name in seeds if (value := self._results[name]) is not None]
            self._tell(trial.proposal, fmean(results) if len(results) == len(seeds) else None)

    def should_prune(self, trial: Trial, *, step: int, value: float) -> bool:
        """Report a score to the pruner and return whether it stops the trial; never one that another process began."""
        running = self._running.get(trial.proposal)
        if running is None:
            return False
        with self._verified():
            running.report(value, step)
            return bool(running.should_prune())

    def propose(self) -> list[Trial]:
        """Add a new combination to the plan and return its trials, one per seed; none if nothing new was proposed."""
        known = {self._key(trial.values) for trial in self.plan.trials}
        for attempt in range(_TRIES):
            with self._verified():
                asked = self._ask(len(known) * _TRIES + attempt)
                values = self._suggest(asked)
            if self._key(values) not in known and (trials := self._planned(asked.number, values)):
                self._running[asked.number] = asked
                return trials
            self._tell(asked.number, None)
        self._is_exhausted = True
        return []

    def _ask(self, number: int) -> "OptunaTrial":
        """Return a new trial of the study; `number` counts planned ones: a killed process may have asked for more."""
        given = self._base.data.get("seed", 0)
        base = given if isinstance(given, int) and 0 <= given <= LARGEST_SEED else 0
        seed = int(stream(base, "sweep/tpe", number).integers(2**31))
        # A new sampler for each, so that a proposal depends on the study alone.
        sampler = self._optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM, constant_liar=True)
        self._study.sampler = sampler
        return self._study.ask()

    def _suggest(self, asked: "OptunaTrial") -> Values:
        """Return the proposed values, each group of axes after those that its conditions depend on."""
        values: Values = {}
        for keys in sorted(groups_of(self._options), key=lambda keys: max(map(self._depth, keys))):
            if len(keys) == 1 and not condition_holds(keys[0], values, self._options):
                continue
            axes = [self._options.axes[key] for key in keys]
            if len(keys) == 1 and isinstance(axes[0], Range) and is_open(axes[0]):
                values[keys[0]] = _suggest_number(asked, keys[0], axes[0])
                continue
            columns, name = [values_of(axis) for axis in axes], "+".join(keys)
            if isinstance(axes[0], Range):  # its values have an order
                place = asked.suggest_int(name, 0, len(columns[0]) - 1)
            else:
                place = asked.suggest_categorical(name, list(range(len(columns[0]))))
            values |= {key: column[place] for key, column in zip(keys, columns, strict=True)}
            values = {key: value for key, value in values.items() if condition_holds(key, values, self._options)}
        return values

    def _depth(self, key: str) -> int:
        """Return how many axes in a row an axis depends on."""
        return max((1 + self._depth(other) for other in self._options.when.get(key, ())), default=0)

    def _planned(self, proposal: int, values: Values) -> list[Trial]:
        """Store and return the trials of a combination; none if the combination is invalid."""
        seeds = self._options.seed_list
        trials: list[Trial] = []
        for each in [values] if seeds is None else [{**values, "seed": seed} for seed in seeds]:
            number = len(self.plan.trials) + len(trials) + 1
            name = trial_name(number, each, total=self.plan.total)
            try:
                experiment = check_document(trial_document(self._base, name, each), default_name=name)
            except ConfigError:  # an invalid combination is reported to Optuna as failed
                return []
            trial = Trial(number=number, name=name, values=each, sha256=experiment.sha256(), proposal=proposal)
            self._sweep.write_config(trial, experiment)
            trials.append(trial)
        self.plan = self.plan.with_trials(trials)
        self._sweep.write_plan(self.plan)
        return trials

    def _open_study(self) -> "Study":
        optuna, options = self._optuna, self.plan.options
        _drop_partial_line(self._journal)
        pruners = {
            None: optuna.pruners.NopPruner, "median": optuna.pruners.MedianPruner,
            "hyperband": optuna.pruners.HyperbandPruner,
        }  # fmt: skip
        backend = optuna.storages.journal.JournalFileBackend(str(self._journal), lock_obj=_NoLock())
        study: Study = optuna.create_study(
            storage=optuna.storages.JournalStorage(backend),
            study_name=self.plan.name,
            direction=options.metric.goal,
            load_if_exists=True,
            pruner=pruners[options.pruner](),
        )
        return study

    @contextmanager
    def _verified(self) -> Iterator[None]:
        """Report what Optuna raises as a damaged record: it takes any content as it is."""
        try:
            yield
        except OSError as fault:
            raise system_error("append to", self._journal, fault) from fault
        except (RnnlabError, MemoryError):
            raise
        except Exception as fault:
            hint = "restore it from a copy, or start a new sweep with --into DIR; the runs are not affected"
            problem = f"is damaged: {type(fault).__name__}: {str(fault)[:200]}"
            raise VerificationError(problem, where=str(self._journal), hint=hint) from fault

    def _tell(self, number: int, value: float | None, *, pruned: bool = False) -> None:
        states = self._optuna.trial.TrialState
        with self._verified():
            if self._study.get_trials(deepcopy=False)[number].state.is_finished():
                return
            if value is None:
                self._study.tell(number, state=states.PRUNED if pruned else states.FAIL)
            else:
                self._study.tell(number, value)

    def _key(self, values: Values) -> str:
        """Return what identifies a combination: its values without the seeds that every combination gets."""
        given = set() if self._options.seeds is None else {"seed"}
        return json.dumps({key: value for key, value in values.items() if key not in given}, sort_keys=True)


def import_optuna() -> ModuleType:
    """Import Optuna, without its log and its warnings of experimental features: the journal and `constant_liar`.

    Raises:
        EnvironmentFault: It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        problem = "method: tpe needs the package optuna"
        raise missing_package(problem, extra="optuna", instead="method: random") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


class _NoLock:
    """Replaces Optuna's lock, which a killed process would leave behind; the sweep's own keeps other processes out."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _drop_partial_line(path: Path) -> None:
    """Cut off the last line if a killed process wrote only a part of it."""
    if kind(path) != "missing":
        data = read_bytes(path, _LARGEST_JOURNAL)
        if max(map(len, data.split(b"\n"))) > _LONGEST_LINE:
            raise VerificationError(f"has a line of more than {_LONGEST_LINE:,} bytes", where=str(path))
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            write_atomic(path, whole)


def _suggest_number(asked: "OptunaTrial", name: str, axis: Range) -> int | float:
    is_log = axis.scale == "log"
    if has_integers(axis):
        return asked.suggest_int(name, int(axis.from_), int(axis.to), log=is_log)
    return exact(axis, asked.suggest_float(name, axis.from_, axis.to, log=is_log), digits=6)
