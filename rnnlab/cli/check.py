"""`rnnlab check`."""

from rnnlab.cli._options import ConfigArgument, SetOption


def command(config: ConfigArgument, overrides: SetOption = None) -> None:
    """Check CONFIG and print it complete, every default filled in; nothing is trained or created."""
    from rnnlab.cli._errors import note
    from rnnlab.cli._output import show_text
    from rnnlab.config.load import load_experiment
    from rnnlab.config.yaml_writer import dump_yaml
    from rnnlab.lab.memory import in_words, memory_needed

    experiment = load_experiment(config, overrides or []).experiment
    task = experiment.build_task()
    count = sum(parameter.size for parameter in experiment.network(task).parameters().values())
    show_text(dump_yaml(experiment.resolved()))
    baseline, memory = task.baseline(experiment.timesteps), in_words(memory_needed(experiment))
    note(f"ok: {count:,} parameters, about {memory} of memory, baseline {baseline:.4g}, solved when {task.solved}")
