"""Keras as the outside reference, without a word from TensorFlow and without a GPU."""

import os
import warnings

import pytest

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["KERAS_BACKEND"] = "tensorflow"


@pytest.fixture(scope="session")
def keras():
    with warnings.catch_warnings():
        # What TensorFlow's own modules deprecate among themselves is no fault of ours.
        warnings.simplefilter("ignore")
        return pytest.importorskip("keras")
