"""The update rules, one file each: the file's stem is the name in a config."""

from rnnlab.core.registry import Registry

OPTIMIZERS = Registry(package="rnnlab.optim.rules", attribute="OPTIMIZER", kind="optimizer")
