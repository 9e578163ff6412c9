"""Pictures of runs by matplotlib, which is imported when the first is drawn; nothing here prints or writes."""

from rnnlab.plots.figure import ENDINGS, image
from rnnlab.plots.kinds import KINDS, draw

__all__ = ["ENDINGS", "KINDS", "draw", "image"]
