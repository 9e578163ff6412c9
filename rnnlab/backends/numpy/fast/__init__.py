"""The fast layer: any cell by its plan, with NumPy alone; tests compare it with the readable reference."""

from rnnlab.backends.numpy.fast.layer import FastLayer

__all__ = ["FastLayer"]
