import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from rnnlab.config.experiment import config_schema
from rnnlab.config.load import load_experiment
from rnnlab.config.reading import document_of, read_document
from rnnlab.config.yaml import dump_yaml
from rnnlab.tasks import task_names

CONFIGS = Path(__file__).parents[2] / "configs"


def faults(text: str) -> list[str]:
    """Return the paths at which a config breaks the schema."""
    data = document_of(text, "x.yaml").data
    return [error.json_path for error in Draft202012Validator(config_schema()).iter_errors(data)]


def test_the_schema_is_itself_valid() -> None:
    schema = config_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_is_accepted(config: Path) -> None:
    assert faults(config.read_text(encoding="utf-8")) == []
    whole = read_document(config).data
    assert list(Draft202012Validator(config_schema()).iter_errors(whole)) == []


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_names_the_schema_for_editors(config: Path) -> None:
    assert config.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=schema.json\n")


def test_the_shipped_schema_is_the_one_of_this_version() -> None:
    shipped = json.loads((CONFIGS / "schema.json").read_text(encoding="utf-8"))
    assert shipped == config_schema(), "write it anew: rnnlab schema > configs/schema.json"


@pytest.mark.parametrize("name", task_names())
def test_every_resolved_config_is_accepted(tmp_path: Path, name: str) -> None:
    config = tmp_path / "x.yaml"
    config.write_text(f"task: {name}\ncell: carry\n", encoding="utf-8")
    assert faults(dump_yaml(load_experiment(config).experiment.resolved())) == []


@pytest.mark.parametrize(
    "block",
    [
        "cell: simple",
        "cell: {units: 3}",
        "cell: {type: carry, recurrent_activation: hard_sigmoid}",
        "cell: {initializers: {kernel: zeros, bias: {type: uniform}}}",
        "shape: {timesteps: 3}",
        "shape: {timesteps: [3, 5]}",
        "shape: {timesteps: null}",
        "training: {optimizer: sgd, schedule: cosine}",
        "training: {optimizer: {learning_rate: 0.1}, schedule: {warmup_steps: 3}}",
        "training: {stop_on_plateau: {evaluations: 3}, clip_norm: null}",
        "extends: base.yaml",
        "extends: [a.yaml, b.yaml]",
    ],
)
def test_what_the_program_accepts_the_schema_accepts(block: str) -> None:
    assert faults(f"task: adding\n{block}\n") == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("name: a", "$"),
        ("task: addding", "$.task"),
        ("task: {type: adding, foo: 1}", "$.task"),
        ("task: adding\ntaks: 1", "$"),
        ("task: adding\nseed: -1", "$.seed"),
        ("task: adding\nseed: 1.5", "$.seed"),
        ("task: adding\nprecision: float16", "$.precision"),
        ("task: adding\nbackend: torch", "$.backend"),
        ("task: adding\ncell: rnn", "$.cell"),
        ("task: adding\ncell: {units: 0}", "$.cell"),
        ("task: adding\ncell: {activation: tahn}", "$.cell"),
        ("task: adding\ncell: {type: simple, recurrent_activation: tanh}", "$.cell"),
        ("task: adding\ncell: {initializers: {kernel: glorot}}", "$.cell"),
        ("task: adding\nshape: {timesteps: '3'}", "$.shape.timesteps"),
        ("task: adding\ntraining: {stepz: 3}", "$.training"),
        ("task: adding\ntraining: {steps: 0}", "$.training.steps"),
        ("task: adding\ntraining: {optimizer: adma}", "$.training.optimizer"),
        ("task: adding\ntraining: {optimizer: {type: adam, learning_rate: 0}}", "$.training.optimizer"),
        ("task: adding\ntraining: {schedule: {type: step}}", "$.training.schedule"),
        ("task: adding\nevaluation: {sequences: 0}", "$.evaluation.sequences"),
    ],
)
def test_what_the_program_refuses_the_schema_marks(text: str, path: str) -> None:
    assert faults(text) == [path]
