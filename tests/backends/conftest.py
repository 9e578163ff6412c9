import importlib
from typing import Any

import pytest

from rnnlab.backends.keras.engines import start
from tests.backends.contenders import ALL, Contender


@pytest.fixture(params=ALL)
def contender(request: pytest.FixtureRequest, engine: str) -> Contender:
    """Each way of computing in turn; `parametrize(…, indirect=True)` names fewer."""
    return Contender.named(request.param, engine)


@pytest.fixture(scope="session")
def keras(engine: str) -> Any:
    """Keras, on the engine under test."""
    start(engine)
    return importlib.import_module("keras")
