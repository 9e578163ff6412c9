"""Check CONFIG and print it complete; train and create nothing.

Every default is filled in. A package that the training needs and that is not installed here is a warning, as it may be
installed where the training runs. Of a sweep, all trials are checked and the first is printed; `rnnlab sweep CONFIG
--dry-run` shows what each one sets.
"""

from collections.abc import Iterable

from rnnlab.cli.errors import note, warn
from rnnlab.cli.options import ConfigArgument, SetOption
from rnnlab.cli.render.output import show_text
from rnnlab.config.code import SWEEP
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.config.reading import read_document
from rnnlab.config.yaml import dump_yaml
from rnnlab.sweeps.expand import check_sweep
from rnnlab.training.packages import missing_packages
from rnnlab.training.resources import in_words, memory_needed


def command(config: ConfigArgument, overrides: SetOption = None) -> None:
    if SWEEP in read_document(config, overrides or []).data:
        checked = check_sweep(config, overrides or [])
        first, experiment = next(iter(checked.experiments.items()))
        show_text(dump_yaml(experiment.resolved()))
        count = checked.plan.total
        _warn_of_missing(checked.experiments.values())
        note(f"ok: a sweep of {count:,} trial{'s' * (count != 1)}; this is the first, {first}")
        return
    experiment = load_experiment(config, overrides or []).experiment
    task = experiment.build_task()
    count = experiment.network().parameter_count
    show_text(dump_yaml(experiment.resolved()))
    needed = memory_needed(experiment)  # unknown for Keras
    memory = "" if needed is None else f"about {in_words(needed)} of memory, "
    score = task.baseline(experiment.timesteps)
    baseline = "" if score is None else f"baseline {score:.4g}, "
    rule = task.rule(experiment.timesteps)
    for text in task.warnings(experiment.timesteps):
        warn(text)
    _warn_of_missing([experiment])
    note(f"ok: {count:,} parameter{'s' * (count != 1)}, {memory}{baseline}success rule: {rule}")


def _warn_of_missing(experiments: Iterable[Experiment]) -> None:
    """Print a warning for each package that is missing here; the training may be for another machine."""
    for text in dict.fromkeys(str(fault) for experiment in experiments for fault in missing_packages(experiment)):
        warn(text)
