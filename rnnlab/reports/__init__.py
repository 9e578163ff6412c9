"""Reports: runs told in one HTML page that needs nothing else."""

from rnnlab.reports.page import GENERATOR, write_page

__all__ = ["GENERATOR", "write_page"]
