"""HTML reports: one page about runs that needs nothing else."""

from rnnlab.reports.page import GENERATOR, write_page

__all__ = ["GENERATOR", "write_page"]
