"""Whole-sequence kernels, one file a cell, named like the cell; each is held to the readable reference by tests."""

from rnnlab.core.registry import Registry

KERNELS = Registry("rnnlab.backends.numpy.fast", "LAYER", "kernel")
