"""Pictures of runs by matplotlib, which is imported when the first is drawn; nothing here prints or writes."""

from rnnlab.figures.figure import ENDINGS, image
from rnnlab.figures.kinds import KINDS, draw

__all__ = ["ENDINGS", "KINDS", "draw", "image"]
