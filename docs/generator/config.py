"""The page of all keys of a config."""

from generator.markdown import code, definitions, options
from rnnlab.cells import DEFAULT
from rnnlab.cli.render.card import option_rows
from rnnlab.config.blocks import SweepOptions
from rnnlab.config.experiment import Experiment

_ELSEWHERE = {
    "cell": "[the cells](cells.md)",
    "task": "[the tasks](tasks.md)",
    "training.optimizer": "[optimisers](training_rules.md#optimisers)",
    "training.schedule": "[schedules](training_rules.md#schedules)",
}
_START = """\
# Config keys

A config is one YAML file. `task` is the only key that it must have, or takes from the file that `extends` names; each
other key has a default. Keys are given here with their path: `training.steps` is the key `steps` of the mapping
`training`, and `--set training.steps=500` on the command line sets it too. An unknown key, or a value of another type
or outside its bounds, is an error with its line and column.

`rnnlab check CONFIG` prints a config with every default filled in. `rnnlab schema` prints this page as a JSON Schema,
by which an editor completes and checks a config.

A block with a `type` may be given as that name alone: `cell: lstm` is short for `cell: {type: lstm}`, and
`training.optimizer: sgd`, `training.schedule: cosine` and every initialiser likewise.

## Building on another config

`extends`
: The path of a config, relative to this one, on which this one builds: mappings are merged key by key, and any other
  value of this file replaces that of the other. Of a list, a later file replaces what an earlier one sets. *text, or
  list of texts*
"""


def page() -> str:
    """Return the page."""
    sections: dict[str, list[str]] = {}
    for row in option_rows(Experiment):
        name = row["name"]
        if name.startswith(tuple(f"{key}." for key in _ELSEWHERE)):
            continue
        if there := _ELSEWHERE.get(name):
            default = "required" if name == "task" else f"default `{DEFAULT if name == 'cell' else row['default']}`"
            about = f"{row['description'][:1].upper()}{row['description'][1:]}; see {there}."
            text = definitions([(code(name), f"{about} *name, or mapping with `type` and options; {default}*")])
        else:
            text = options([row])
        head, dot, _ = name.partition(".")
        sections.setdefault(head if dot else "", []).append(text)
    parts = [_START, "## The experiment\n", *sections.pop("")]
    for head, texts in sections.items():
        parts += [f"## `{head}`\n", *texts]
    parts += ["## `sweep`\n", "See [a first sweep](../tutorial/first_sweep.md).\n"]
    return "\n".join([*parts, options(option_rows(SweepOptions), prefix="sweep.")])
