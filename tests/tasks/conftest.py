import pytest

from rnnlab.tasks import task_names
from rnnlab.tasks.base import AbstractTask
from tests.tasks.drawing import build


@pytest.fixture(scope="module", params=task_names())
def task(request: pytest.FixtureRequest) -> AbstractTask:
    return build(request.param)
