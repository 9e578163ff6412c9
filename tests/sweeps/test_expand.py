"""A sweep's config becomes a plan: every trial complete, checked, and with its own name."""

from hashlib import sha256
from pathlib import Path

import pytest

from rnnlab.config.load import load_experiment
from rnnlab.config.yaml import dump_yaml
from rnnlab.core.errors import ConfigError
from rnnlab.sweeps.expand import check_sweep
from rnnlab.sweeps.plan import CheckedSweep

BASE = """\
task: parity
shape: {timesteps: 4}
cell: {units: 4}
training: {steps: 2, batch_size: 4}
evaluation: {sequences: 8}
"""


def checked(place: Path, sweep: str, *overrides: str, base: str = BASE) -> CheckedSweep:
    path = place / "x.yaml"
    path.write_text(f"{base}sweep:\n{sweep}")
    return check_sweep(path, overrides)


def errors(place: Path, sweep: str, *overrides: str, base: str = BASE) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        checked(place, sweep, *overrides, base=base)
    return [str(fault).replace(str(place), "") for fault in caught.value.faults]


CELLS = """\
  axes:
    cell.type: [simple, carry]
    cell.forget_bias: [2.0]
    shape.timesteps: {from: 10, to: 30, step: 10}
  when: {cell.forget_bias: {cell.type: carry}}
  seeds: [7, 3]
"""


def test_the_plan_of_a_sweep(place: Path) -> None:
    found = checked(place, CELLS)
    assert [trial.name for trial in found.plan.trials] == [
        f"{number:04d}-{cell}-T{length}-seed{seed}"
        for number, (cell, length, seed) in enumerate(
            [(c, t, s) for c in ("simple", "carry") for t in (10, 20, 30) for s in (7, 3)], start=1
        )
    ]
    first, last = found.plan.trials[0], found.plan.trials[-1]
    assert first.values == {"cell.type": "simple", "shape.timesteps": 10, "seed": 7}
    assert last.values == {"cell.type": "carry", "cell.forget_bias": 2.0, "shape.timesteps": 30, "seed": 3}
    assert (found.plan.name, found.plan.options.method, found.plan.options.metric.name) == ("x", "grid", "loss")
    assert found.plan.config_sha256 == sha256((place / "x.yaml").read_bytes()).hexdigest()


def test_a_trials_config_is_complete_and_trains_the_same_experiment(place: Path) -> None:
    found = checked(place, CELLS)
    for trial in found.plan.trials:
        path = place / f"{trial.name}.yaml"
        path.write_text(dump_yaml(found.experiments[trial.name].resolved()))
        again = load_experiment(path).experiment
        assert again == found.experiments[trial.name]
        assert again.sha256() == trial.sha256
        assert again.name == trial.name
        assert again.numpy.shards == 1


@pytest.mark.parametrize(
    ("base", "shards"),
    [(f"{BASE}numpy: {{shards: 3}}\n", 3), (f"{BASE}numpy: {{shards: null}}\n", None), (f"{BASE}numpy: {{}}\n", 1)],
)
def test_shards_are_taken_from_the_config(place: Path, base: str, shards: int | None) -> None:
    (experiment,) = checked(place, "  seeds: 1\n", base=base).experiments.values()
    assert experiment.numpy.shards == shards


def test_a_sweep_may_extend_and_be_overridden(place: Path) -> None:
    (place / "base.yaml").write_text(f"{BASE}sweep: {{seeds: 3, metric: {{name: loss}}}}\nname: given\n")
    found = checked(place, "  seeds: 2\n", "sweep.metric.goal=maximize", "cell.units=3", base="extends: base.yaml\n")
    assert (found.plan.name, found.plan.options.metric.goal) == ("given", "maximize")
    assert [(one.seed, one.cell.units) for one in found.experiments.values()] == [(0, 3), (1, 3)]


def test_an_axis_may_be_a_whole_block(place: Path) -> None:
    found = checked(place, "  axes: {cell: [simple, {type: carry, units: 3}]}\n")
    assert [(one.cell.type, one.cell.units) for one in found.experiments.values()] == [("simple", 32), ("carry", 3)]
    assert [trial.name for trial in found.plan.trials] == ["0001-simple", "0002-carry"]


def test_errors_of_trials_point_to_their_values_and_are_reported_once(place: Path) -> None:
    faults = errors(place, "  axes:\n    cell.units: [4, 0]\n    cell.typ: [carry]\n  seeds: 5\n")
    assert faults == [
        "/x.yaml:9:16 cell.typ: unknown key 'typ' (trials 0001-H4-seed0, 0002-H4-seed1, 0003-H4-seed2 and 7 more) "
        "— did you mean 'type'?",
        "/x.yaml:8:21 cell.units: got 0, expected at least 1 (trials 0006-H0-seed0, 0007-H0-seed1, 0008-H0-seed2 and 2 "
        "more)",
    ]


LISTED_CELL = BASE.replace("{units: 4}", "[8]")


@pytest.mark.parametrize(
    ("sweep", "base", "faults"),
    [
        ("  axes: {engine: [jax, torch]}\n", BASE, ["7:3 sweep: is the same training as trial 0001-jax (trial 0002"]),
        (
            "  axes: {cell.units: [1, 2]}\n",
            LISTED_CELL,
            [
                f"7:{23 + 3 * n} sweep.axes.'cell.units'[{n}]: cell is a list (/x.yaml:3:7), not a mapping"
                for n in (0, 1)
            ],
        ),
        (
            "  axes: {two words: [1]}\n  sedes: 3\n",
            BASE,
            [
                "7:21 sweep.axes.'two words': got 'two words', expected a dotted key",
                "8:3 sweep.sedes: unknown key 'sedes'",
            ],
        ),
        ("  axes: {seed: 3}\n", BASE, ["7:16 sweep.axes.seed: got 3, expected a list of values, or a range"]),
        ("  axes: {seed: {from: 3, to: 1, step: 0}}\n", BASE, ["7:39 sweep.axes.seed.step: got 0, expected more than"]),
        (
            "  axes: {seed: {from: 3, to: 1}}\n",
            BASE,
            ["7:16 sweep.axes.seed: got a mapping, expected `from` to be less"],
        ),
        ("  seeds: [1, 1]\n", BASE, ["7:10 sweep.seeds: got [1, 1], expected distinct seeds"]),
        ("  method: magic\n", BASE, ["7:11 sweep.method: got 'magic', expected one of grid, random or tpe"]),
        ("  seeds: 20000\n  axes: {cell.units: [1, 2]}\n", BASE, ["7:3 sweep: 2 combinations and 20,000 seeds"]),
        ("  seeds: 2\n", f"{BASE}name: a/b\n", ["6:7 name: invalid run name 'a/b'"]),
    ],
    ids=["twins", "no mapping", "keys", "no axis", "step", "order", "seeds", "method", "many", "name"],
)
def test_errors_of_the_section(place: Path, sweep: str, base: str, faults: list[str]) -> None:
    for error, expected in zip(errors(place, sweep, base=base), faults, strict=True):
        assert error.startswith(f"/x.yaml:{expected}")
    assert [path.name for path in place.iterdir()] == ["x.yaml"]


def test_a_sweep_is_not_an_experiment(place: Path) -> None:
    checked(place, "  seeds: 2\n")
    with pytest.raises(ConfigError) as caught:
        load_experiment(place / "x.yaml")
    (fault,) = caught.value.faults
    assert fault.where == f"{place}/x.yaml:7:3 sweep"
    assert fault.hint == "use `rnnlab sweep CONFIG`"
