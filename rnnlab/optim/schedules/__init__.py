"""The learning-rate schedules, one file each: the file's stem is the name in a config."""

from rnnlab.core.registry import Registry

SCHEDULES = Registry(package="rnnlab.optim.schedules", attribute="SCHEDULE", kind="schedule")
