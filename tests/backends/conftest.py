import importlib
import importlib.util
from typing import Any

import pytest

from rnnlab.backends.keras.engines import start
from tests.backends.contenders import ALL, Contender


@pytest.fixture(params=ALL)
def contender(request: pytest.FixtureRequest, engine: str) -> Contender:
    """Each way of computing in turn; `parametrize(…, indirect=True)` names fewer."""
    if request.param.startswith("keras"):
        _require(engine)
    return Contender.named(request.param, engine)


@pytest.fixture(scope="session")
def keras(engine: str) -> Any:
    """Keras, on the engine under test."""
    _require(engine)
    start(engine)
    return importlib.import_module("keras")


def _require(engine: str) -> None:
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"needs the extra `{engine}`")
