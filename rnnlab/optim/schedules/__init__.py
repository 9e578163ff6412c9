"""The learning-rate schedules, one file each, and those in files that a config names by path."""

from rnnlab.core.own_classes import OwnClasses
from rnnlab.core.registry import Registry
from rnnlab.optim.schedules.base import AbstractSchedule, ScheduleOptions

_OWN = OwnClasses(AbstractSchedule, ScheduleOptions, "rnnlab.optim.schedules")
SCHEDULES = Registry("rnnlab.optim.schedules", "SCHEDULE", "schedule", lambda _, kind: _OWN.require(kind), _OWN.member)
