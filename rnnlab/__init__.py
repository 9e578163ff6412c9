"""rnnlab: train, evaluate and compare small recurrent networks on published synthetic tasks."""

__version__ = "0.1.0"
