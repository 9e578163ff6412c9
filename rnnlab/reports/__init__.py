"""Reports: runs told in one HTML page that needs nothing else."""
