"""A training that ends by the success rule of its config, at the exact step."""

import rnnlab
from tests.small import Fit

STOP = "training.stop_when_solved=true"
LEARNS = ["shape.timesteps=1", "training.steps=400", "training.optimizer.learning_rate=0.05"]


def test_by_the_last_training_sequences(fit: Fit) -> None:
    """The training errors and losses of each step, recorded by a run that does not stop, give the step of the other."""
    every = fit(*LEARNS, "training.steps=60", "training.evaluate_every=1")
    size, window, wrong, below = every.experiment().training.batch_size, 4, 6, 0.6
    errors = [round(one["train/error_rate"] * size) for one in every.records[1:]]
    losses = [one["train/loss"] for one in every.records[1:]]
    step = next(
        n
        for n in range(window, len(errors) + 1)
        if sum(errors[n - window : n]) <= wrong and sum(losses[n - window : n]) / window < below
    )
    assert window < step < 60
    run = fit(*LEARNS, STOP, f"training.success={{last: {window * size}, wrong: {wrong}, loss_below: {below}}}")
    assert run.summary.solved_at
    assert (run.summary.stopped, run.summary.steps, run.summary.solved_at.step) == ("solved", step, step)
    assert run.summary.solved_rule == (
        f"all but {wrong} of the last {window * size} training sequences correct, with a mean training loss below 0.6"
    )


def test_by_metrics_of_the_validation_set(fit: Fit) -> None:
    every = fit(*LEARNS, "training.evaluate_every=5")
    losses = {one["step"]: one["validation/loss"] for one in every.records}
    bound = sorted(losses.values())[len(losses) // 2]
    step = next(step for step, loss in losses.items() if step and loss <= bound)
    success = f"training.success={{validation: {{loss: {bound!r}, error_rate: 1}}}}"
    run = fit(*LEARNS, STOP, "training.evaluate_every=5", success)
    assert run.summary.solved_at
    assert (run.summary.stopped, run.summary.solved_at.step) == ("solved", step)
    assert run.summary.solved_rule.startswith("validation loss at most ")
    # Test sequences are judged by the same rule: with the final weights as with the first.
    assert rnnlab.evaluate(run, weights="last").solved is (rnnlab.evaluate(run).metrics["loss"] <= bound)


def test_rules_that_differ_are_named_in_a_comparison(fit: Fit) -> None:
    strict, loose = (
        fit(*LEARNS, f"name={name}", f"training.success={{validation: {{error_rate: {bound}}}}}")
        for name, bound in (("strict", 0.0), ("loose", 0.2))
    )
    (warning,) = [one for one in rnnlab.compare([strict, loose]).warnings if "training.success" in one]
    assert warning.startswith("compare with care: training.success.validation.error_rate differs")
