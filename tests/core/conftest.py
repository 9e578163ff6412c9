"""Keras is a reference here too."""

from tests.optim.conftest import keras

__all__ = ["keras"]
