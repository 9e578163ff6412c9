"""The engines that compute a network."""

from rnnlab.core.registry import Registry

BACKENDS = Registry("rnnlab.backends", "BACKEND", "backend")
