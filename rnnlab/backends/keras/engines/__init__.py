"""What Keras runs on: one file an engine. Importing an engine's module imports the engine."""

from rnnlab.core.registry import Registry

ENGINES = Registry("rnnlab.backends.keras.engines", "ENGINE", "engine")
