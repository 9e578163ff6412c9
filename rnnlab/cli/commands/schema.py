"""Print the JSON Schema of a config, for editors that check YAML."""

from rnnlab.cells import CELLS
from rnnlab.cli.errors import warn_of_broken
from rnnlab.cli.render.output import show_json
from rnnlab.config.experiment import config_schema
from rnnlab.optim.rules import OPTIMIZERS
from rnnlab.optim.schedules import SCHEDULES
from rnnlab.tasks import TASKS


def command() -> None:
    warn_of_broken(CELLS, TASKS, OPTIMIZERS, SCHEDULES)
    show_json(None, config_schema())
