"""Who competes: one file each, rnnlab's own backends and every framework's idiom; the stem is the name."""

from rnnlab.core.registry import Registry

CONTENDERS = Registry("rnnlab.bench.contenders", "CONTENDER", "contender")
