"""Whole-sequence kernels, one file per cell, named like the cell; tests compare each with the readable reference."""

from rnnlab.core.registry import Registry

KERNELS = Registry("rnnlab.backends.numpy.fast", "LAYER", "kernel")
