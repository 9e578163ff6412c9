"""Layers over a whole sequence with hand-written gradients, on any Keras engine; one file a cell, found by its name."""

from rnnlab.core.registry import Registry

HANDWRITTEN = Registry("rnnlab.backends.keras.handwritten", "LAYER", "hand-written layer")
