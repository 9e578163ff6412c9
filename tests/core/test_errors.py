import pickle

import pytest

from rnnlab.core import errors
from rnnlab.core.errors import ConfigError, DivergedError, RnnlabError, UsageError

TABLE = {
    "RnnlabError": (1, "E_BUG"),
    "UsageError": (2, "E_USAGE"),
    "ConfigError": (2, "E_CONFIG"),
    "RunNotFoundError": (3, "E_RUN"),
    "VerificationError": (4, "E_DATA"),
    "EnvironmentFault": (5, "E_ENVIRONMENT"),
    "RunLockedError": (6, "E_LOCKED"),
    "DivergedError": (7, "E_DIVERGED"),
    "StoppedError": (75, "E_STOPPED"),
    "TrialsFailedError": (8, "E_TRIALS"),
    "ConditionError": (9, "E_CONDITION"),
}


def test_the_table_of_exit_codes() -> None:
    kinds = {
        name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert {name: (kind.exit_code, kind.code) for name, kind in kinds.items()} == TABLE


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "got 3"),
        ({"where": "x.yaml:7:3"}, "x.yaml:7:3: got 3"),
        ({"hint": "use 4"}, "got 3 — use 4"),
        ({"where": "x.yaml:7:3", "hint": "use 4"}, "x.yaml:7:3: got 3 — use 4"),
    ],
)
def test_where_what_and_what_next(given: dict[str, str], text: str) -> None:
    error = UsageError("got 3", **given)
    assert str(error) == text
    assert (error.problem, error.where, error.hint) == ("got 3", given.get("where", ""), given.get("hint", ""))


def test_a_config_error_tells_every_fault() -> None:
    faults = [UsageError("got 3", where="x.yaml:7:3"), UsageError("got 5", where="x.yaml:9:3")]
    assert str(ConfigError(faults)) == "x.yaml:7:3: got 3\nx.yaml:9:3: got 5"
    assert ConfigError(faults).faults == faults


@pytest.mark.parametrize(
    "error",
    [
        DivergedError("loss is nan", where="runs/x", hint="lower the rate"),
        ConfigError([UsageError("got 3", where="x.yaml:7:3"), UsageError("got 5", hint="use 4")]),
    ],
)
def test_an_error_travels_between_processes(error: RnnlabError) -> None:
    """A training in a child process must be able to tell its parent what went wrong."""
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back)) == (type(error), str(error))
    assert {key: str(value) for key, value in vars(back).items() if key != "faults"} == {
        key: value for key, value in vars(error).items() if key != "faults"
    }
