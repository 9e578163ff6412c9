"""The update rules, one file each, and those in files that a config names by path."""

from rnnlab.core.own_classes import OwnClasses
from rnnlab.core.registry import Registry
from rnnlab.optim.rules.base import AbstractOptimizer, OptimizerOptions

_OWN = OwnClasses(AbstractOptimizer, OptimizerOptions, "rnnlab.optim.rules")
OPTIMIZERS = Registry("rnnlab.optim.rules", "OPTIMIZER", "optimizer", lambda _, kind: _OWN.require(kind), _OWN.member)
