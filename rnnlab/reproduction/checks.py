"""What must be true of a row before it is trained: its network, its trials and its test are those that were printed."""

from rnnlab.config.document import Document
from rnnlab.config.load import check_document
from rnnlab.config.overrides import override_texts
from rnnlab.config.reading import apply_overrides
from rnnlab.config.success import metrics_of
from rnnlab.core.errors import ConfigError, UsageError
from rnnlab.core.registry import nearest
from rnnlab.inspection.diagnoses import diagnoses
from rnnlab.inspection.evaluate import require_same_training
from rnnlab.reproduction.published import BLOCK, SEQUENCES, SOLVED, TEST, Published
from rnnlab.storage.summary import SolvedAt
from rnnlab.sweeps.expand import trial_document
from rnnlab.sweeps.plan import CheckedSweep


def row_faults(published: Published, checked: CheckedSweep, source: Document, *, is_variant: bool) -> list[UsageError]:
    """Return what is wrong with a row; the network and the trials of a variant may be others than those printed."""
    if checked.plan.is_search:
        where = source.where(("sweep", "method"))
        return [UsageError("got tpe, but the trials of a row are known beforehand", where=where)]
    parts = {"test": _require_test, "measure": _require_measure}
    if not is_variant:
        parts |= {"weights": _require_weights, "trials": _require_trials}
    found = []
    for key, require in parts.items():
        try:
            require(published, checked, source)
        except UsageError as fault:
            found.append(UsageError(fault.problem, where=source.where((BLOCK, key)), hint=fault.hint))
    return found


def _require_weights(published: Published, checked: CheckedSweep, _: Document) -> None:
    printed = published.weights
    for experiment in checked.experiments.values() if printed else ():
        if (count := experiment.network().parameter_count) != printed:
            problem = f"the network has {count:,} parameters, the paper prints {printed:,}"
            raise UsageError(problem, hint="change the network of the row")


def _require_trials(published: Published, checked: CheckedSweep, _: Document) -> None:
    printed, planned = published.trials, len(checked.plan.trials)
    if printed not in {None, planned} and not any("trials" in text for text in published.departures):
        problem = f"the paper prints {printed:,}, the sweep has {planned:,}"
        raise UsageError(problem, hint="name the number of trials in `departures`, with the reason")


def _require_test(published: Published, checked: CheckedSweep, source: Document) -> None:
    test, trial = published.test, checked.plan.trials[0]
    if test and test.diagnosis:
        known = [name for name, one in diagnoses().items() if one.measures]
        if test.diagnosis not in known:
            raise UsageError(f"no diagnosis {test.diagnosis!r} has figures", hint=nearest(test.diagnosis, known))
    if test and test.changes:
        base = trial_document(source.without(BLOCK).without("sweep"), trial.name, trial.values)
        changed = apply_overrides(base, override_texts(test.changes))
        try:
            asked = check_document(changed, default_name=trial.name)
            require_same_training(checked.experiments[trial.name], asked)
        except ConfigError as error:
            raise UsageError(error.faults[0].problem, hint=error.faults[0].hint) from error


def _require_measure(published: Published, checked: CheckedSweep, _: Document) -> None:
    measure, test = published.measure, published.test
    if measure in {SEQUENCES, SOLVED}:
        return
    experiment = next(iter(checked.experiments.values()))
    metrics = metrics_of(experiment.build_task(), experiment.timesteps)
    figures = diagnoses()[test.diagnosis].measures if test and test.diagnosis else ()
    known = [f"{kind}.{name}" for kind in (TEST, "metrics", "best.metrics") for name in metrics]
    known += [f"{TEST}.{name}" for name in figures] + [f"solved_at.{name}" for name in SolvedAt.model_fields]
    if measure not in known:
        raise UsageError(f"there is no {measure!r} of {experiment.task_name}", hint=nearest(measure, known))
