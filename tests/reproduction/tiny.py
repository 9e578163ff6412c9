"""A row so small that its result can be worked out: one weight decides, in fractions of a second."""

import json

from tests.cli.program import rnnlab

ROW = """\
task: parity
shape: {timesteps: 1}
cell: {type: simple, units: 1, initializers: {kernel: {type: uniform, scale: 1.0}}}
training: {steps: 2000, batch_size: 1, evaluate_every: 20, optimizer: {type: sgd, learning_rate: 1.0}}
evaluation: {sequences: 20}
sweep: {seeds: 3}
published:
  title: "a tiny row"
  paper: "Nobody 1999, Nothing"
  url: "https://example.org/paper"
  place: "table 1, row 2"
  result: "40 sequences (mean of 3 trials)"
  measure: sequences
  value: 40
  trials: 3
  weights: 5
  test: {sequences: 50}
  agrees: {solved: 0.9, ratio: [0.5, 2]}
  departures: ["A departure with its reason."]
  variants:
    adam: {training.optimizer: {type: adam, learning_rate: 0.1}}
"""

FOLDER = "runs/reproduce/paper/row"


def document(*arguments: str) -> dict[str, object]:
    """Return what `rnnlab reproduce` has of one row as JSON, and its exit code."""
    result = rnnlab("reproduce", *arguments, "--json", "--quiet", "--workers", "1")
    (found,) = json.loads(result.stdout)["rows"]
    return {**found, "code": result.code}
