"""No predictor that sees only the present step beats the stated baseline of a task: constant, bins, linear, network.

The search is that of `rnnlab.testing.check_task`.
"""

from typing import Any

import numpy as np
import pytest

from rnnlab.core.batch import Lengths
from rnnlab.core.streams import stream
from rnnlab.tasks._csv_options import CsvFile
from rnnlab.tasks.base import AbstractTask
from rnnlab.tasks.forecast import Forecast, ForecastOptions
from rnnlab.tasks.parity import Parity
from rnnlab.testing._memoryless import search
from tests.small import needs_pandas
from tests.tasks.drawing import short_lengths


def test_no_search_beats_the_baseline(task: AbstractTask) -> None:
    task = with_few_symbols(task)
    search(task, short_lengths(task))


@pytest.mark.soak
@pytest.mark.parametrize("case", ["default", "short"])
def test_no_long_search_beats_the_baseline(task: AbstractTask, case: str) -> None:
    task = with_few_symbols(task)
    timesteps = task.default_timesteps if case == "default" else short_lengths(task)
    search(task, timesteps, fitted=60_000, scored=100_000, updates=4000)


def with_few_symbols(task: AbstractTask) -> AbstractTask:
    """As many as a short string has steps, where there would be a hundred."""
    return type(task)(type(task).Options(symbols=12)) if task.input_features > 100 else task  # type: ignore[call-arg]


@pytest.mark.parametrize(("timesteps", "baseline"), [((1, 1), 0.0), ((1, 20), 0.6919), ((2, 20), 0.6931)])
def test_parity_of_a_single_bit_needs_no_memory(timesteps: Lengths, baseline: float) -> None:
    """0.6919 = H(0.525): one length of twenty is 1, where the bit is the parity."""
    task = Parity(Parity.Options())
    assert task.baseline(timesteps) == pytest.approx(baseline, abs=5e-5)
    search(task, timesteps, fitted=20_000, scored=100_000, updates=250)


@needs_pandas
def test_no_search_beats_the_baseline_of_a_file(tmp_path: Any) -> None:
    """The next row depends on the present one through a curve, which the last value and a straight line miss."""
    x = np.zeros((3000, 2))
    noise = stream(0, "file").normal(size=x.shape)
    for t in range(1, len(x)):
        x[t] = np.sin(2 * x[t - 1, ::-1]) + 0.4 * noise[t]
    (tmp_path / "x.csv").write_text("\n".join(",".join(map(repr, row)) for row in x.tolist()))
    task = Forecast(ForecastOptions(csv=CsvFile(path=str(tmp_path / "x.csv"), target=0)))
    unpredictable = np.square(0.4 * noise[2251:2625, 0]).mean() / x[:2250, 0].var()  # of the validation rows
    assert unpredictable < task.baseline((1, 1)) < 1.05 * unpredictable
    search(task, (1, 1), fitted=2000, scored=6000, updates=250)
