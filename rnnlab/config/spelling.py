"""What other programs call the keys of a config, and where rnnlab has them."""

from collections.abc import Iterable

_STEPS, _UNITS, _TIMESTEPS, _CLIP = "training.steps", "cell.units", "shape.timesteps", "training.clip_norm"
_KEYS = {
    "lr": "training.optimizer.learning_rate",
    **dict.fromkeys(("epochs", "num_epochs", "iterations", "max_steps", "num_steps", "updates"), _STEPS),
    **dict.fromkeys(("batch", "batchsize", "bs"), "training.batch_size"),
    **dict.fromkeys(("hidden_size", "hidden", "hidden_units", "num_units", "state_size"), _UNITS),
    **dict.fromkeys(("num_layers", "n_layers", "depth"), "cell.layers"),
    **dict.fromkeys(("seq_len", "seq_length", "sequence_length", "length"), _TIMESTEPS),
    **dict.fromkeys(("clip", "grad_clip", "gradient_clip", "max_grad_norm", "clipnorm"), _CLIP),
    **dict.fromkeys(("early_stopping", "patience"), "training.stop_on_plateau"),
    **dict.fromkeys(("optimiser", "optim"), "training.optimizer"),
    **dict.fromkeys(("scheduler", "lr_schedule", "lr_scheduler"), "training.schedule"),
    **dict.fromkeys(("random_seed", "random_state"), "seed"),
    **dict.fromkeys(("model", "rnn"), "cell"),
    **dict.fromkeys(("dataset", "data"), "task"),
    "dtype": "precision",
}
ENGINES = {"pytorch": "torch", "tf": "tensorflow"}


def right_key(wrong: str, known: Iterable[str]) -> str | None:
    """Return which of the known dotted keys is meant by one that does not exist, or by its last part; None if unknown.

    Example:
        >>> known = ["cell.units", "training.optimizer.learning_rate", "training.steps"]
        >>> right_key("training.lr", known), right_key("learning_rate", known), right_key("training.zebra", known)
        ('training.optimizer.learning_rate', 'training.optimizer.learning_rate', None)
    """
    last = wrong.rpartition(".")[2].replace("-", "_").lower()
    meant = [key for key in known if key.rpartition(".")[2] == last]
    return _KEYS.get(last) or (meant[0] if len(meant) == 1 else None)
