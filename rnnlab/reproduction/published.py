"""The `published:` block of a row: what a paper printed, how it was measured, and when ours agrees with it."""

import re
from typing import Annotated, Any, Self, final

from pydantic import AfterValidator, Field, model_validator

from rnnlab.config.document import DOTTED_KEY
from rnnlab.core.options import Options

BLOCK = "published"
SEQUENCES, SOLVED, TEST = "sequences", "solved", "test"


def _one_line(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise ValueError("expected one line without blanks at its ends")
    return text


def _check_range(bounds: list[float]) -> list[float]:
    if len(bounds) != 2 or bounds[0] > bounds[1]:
        raise ValueError("expected two numbers, the lower one first")
    return bounds


def _key(key: str) -> str:
    if not DOTTED_KEY.fullmatch(key) or key.split(".")[0] in {BLOCK, "extends"}:
        raise ValueError("expected a dotted key of the config: training.optimizer, cell.units")
    return key


def _like(pattern: str, expected: str) -> AfterValidator:
    """Return a check that a pattern fits the whole of a text."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"expected {expected}")
        return text

    return AfterValidator(check)


_MEASURES = f"{SEQUENCES}, {SOLVED}, or a figure such as test.error_rate or metrics.loss"

Text = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_one_line)]
Sentence = Annotated[Text, _like(r".*\.", "a sentence that ends with a full stop")]
Address = Annotated[str, _like(r"https://[!-~]+", "an address that begins with https://")]
Measure = Annotated[str, _like(rf"{SEQUENCES}|{SOLVED}|[a-z_]+(\.[a-z_]+)+", _MEASURES)]
Variant = Annotated[str, _like(r"[a-z][a-z0-9_]{0,29}", "a name of a-z 0-9 _")]
Changes = dict[Annotated[str, AfterValidator(_key)], Any]
Bounds = Annotated[list[Annotated[float, Field(ge=-1e12, le=1e12)]], AfterValidator(_check_range)]


@final
class FreshTest(Options):
    """The test after training."""

    sequences: int = Field(ge=1, le=10_000_000, description="fresh sequences on which each trial is scored at its end")
    changes: Changes = Field(
        default_factory=dict,
        max_length=20,
        description="dotted keys of the config that are set otherwise in the test, of those that `rnnlab evaluate` can "
        "set: shape.timesteps, or options of the task",
    )
    diagnosis: str | None = Field(
        None, description="diagnosis of the trained network whose figures are stored with the scores: fixed-points"
    )

    @property
    def changed(self) -> str:
        """What is set otherwise, after a comma, e.g. `, with shape.timesteps [42, 501]`; empty if nothing."""
        values = ", ".join(f"{key} {value}" for key, value in self.changes.items())
        return f", with {values}" if values else ""


@final
class Rule(Options):
    """When our result agrees with the printed one: all that is given must hold."""

    solved: float | None = Field(None, ge=0, le=1, description="least share of trials that solve the task")
    ratio: Bounds | None = Field(None, description="lowest and highest ratio of our value to the printed one")
    value: Bounds | None = Field(None, description="lowest and highest value of ours")

    @model_validator(mode="after")
    def _is_a_rule(self) -> Self:
        if self.solved is None and self.ratio is None and self.value is None:
            raise ValueError("expected at least one of solved, ratio and value")
        return self


@final
class Published(Options):
    """A printed result; immutable."""

    title: Text = Field(description="what was trained, in a few words")
    paper: Text = Field(description="authors, year and title")
    url: Address = Field(max_length=500, description="where the paper is")
    place: Text = Field(description="where in the paper: table and row, figure, section")
    result: Text = Field(description="the result as printed, in words")
    measure: Measure = Field(
        description="what is compared: sequences (the mean number until a trial is solved), solved (the share of "
        "trials that are), or the mean of a figure of the test (test.error_rate) or of the summary (metrics.loss)",
    )
    value: float = Field(ge=-1e15, le=1e15, description="the printed value of the measure")
    trials: int | None = Field(None, ge=1, le=1_000_000, description="trials of the paper; null: not printed")
    weights: int | None = Field(None, ge=1, description="number of parameters as printed; null: not printed")
    minutes: float | None = Field(
        None, gt=0, le=1e6, description="about how long our trials took with two workers; null: not known"
    )
    test: FreshTest | None = Field(None, description="test after training; null: none")
    agrees: Rule = Field(description="when ours agrees with it")
    departures: list[Sentence] = Field(
        description="where the row departs from the paper, each a sentence with its reason"
    )
    variants: dict[Variant, Annotated[Changes, Field(min_length=1)]] = Field(
        default_factory=dict, max_length=20, description="name -> dotted keys of the config that are set otherwise"
    )
    notes: str = Field("", max_length=10_000, description="what was tried, where ours differs: paragraphs of text")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.measure.startswith(f"{TEST}.") and self.test is None:
            raise ValueError(f"measure {self.measure} needs a `test`")
        if self.agrees.ratio is not None and self.value == 0:
            raise ValueError("agrees.ratio has no meaning with the value 0: write agrees.value")
        return self
