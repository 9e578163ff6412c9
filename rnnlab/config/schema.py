"""The JSON Schema of a config, composed from the typed options of all registered members."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from rnnlab.backends import BACKENDS
from rnnlab.backends.keras.backend import KerasOptions
from rnnlab.backends.keras.engines import ENGINES
from rnnlab.backends.numpy.model import NumpyOptions
from rnnlab.cells import CELLS
from rnnlab.cells.base import Initializers
from rnnlab.config.blocks import (
    DEFAULT_TYPES,
    EvaluationOptions,
    LoggingOptions,
    ShapeOptions,
    TopOptions,
    TrainingOptions,
)
from rnnlab.config.sweep import SweepOptions
from rnnlab.core import activations
from rnnlab.core.registry import Registry
from rnnlab.optim.rules import OPTIMIZERS
from rnnlab.optim.schedules import SCHEDULES
from rnnlab.tasks import TASKS, task_class, task_names

Schema = dict[str, Any]


def config_schema() -> Schema:
    """Return the JSON Schema (2020-12) that every valid config satisfies.

    It is a help for editors and allows a little more than `rnnlab check`, which also compares blocks with each other.
    """
    cells, tasks = _options(CELLS), {name: task_class(name).Options for name in task_names()}
    optimizers, schedules = _options(OPTIMIZERS), _options(SCHEDULES)
    blocks: dict[str, type[BaseModel]] = {
        "numpy": NumpyOptions,
        "keras": KerasOptions,
        "shape": ShapeOptions,
        "training": TrainingOptions,
        "evaluation": EvaluationOptions,
        "logging": LoggingOptions,
        "sweep": SweepOptions,
    }
    models: list[type[BaseModel]] = [
        TopOptions,
        *blocks.values(),
        *cells.values(),
        *tasks.values(),
        *optimizers.values(),
        *schedules.values(),
    ]
    references, shared = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], ref_template="#/$defs/{model}"
    )
    definitions = shared["$defs"]
    where = {model: reference["$ref"].rsplit("/", 1)[1] for (model, _), reference in references.items()}

    def choice(models: Mapping[str, type[BaseModel]], plain: dict[str, list[str]] | None = None) -> Schema:
        for name, model in models.items():
            definition = definitions[where[model]]
            definition["properties"]["type"] = {"enum": [name, *(plain or {}).get(name, [])]}
            if name not in DEFAULT_TYPES.values():
                definition["required"] = sorted({*definition.get("required", []), "type"})
        names = [*models, *(other for others in (plain or {}).values() for other in others)]
        return {"anyOf": [{"enum": names}, *(references[model, "validation"] for model in models.values())]}

    _allow_names(definitions[Initializers.__name__])
    for model in cells.values():
        for key in ("activation", "recurrent_activation"):
            definitions[where[model]]["properties"].get(key, {})["enum"] = activations.names()
    training = definitions[where[TrainingOptions]]
    training["properties"] |= {"optimizer": choice(optimizers), "schedule": choice(schedules)}
    top = definitions.pop(where[TopOptions])
    top["properties"]["backend"]["enum"] = BACKENDS.names()
    top["properties"]["engine"]["enum"] = ENGINES.names()
    properties = {
        "extends": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        **top["properties"],
        "cell": choice(cells),
        "task": choice(
            tasks, {first.name: [stem] for stem, (first, *_) in TASKS.members().items() if stem not in tasks}
        ),
        **{name: references[model, "validation"] for name, model in blocks.items()},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rnnlab experiment",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "anyOf": [{"required": [key]} for key in ("task", "extends", "sweep")],
        "$defs": definitions,
    }


def _options(registry: Registry) -> dict[str, type[BaseModel]]:
    return {name: member.Options for name, member in registry.members().items()}


def _allow_names(definition: Schema) -> None:
    """Accept `kernel: zeros` as short for `kernel: {type: zeros}`."""
    for key, initializer in definition["properties"].items():
        names = sorted(initializer["discriminator"]["mapping"])
        definition["properties"][key] = {"anyOf": [{"enum": names}, initializer]}
