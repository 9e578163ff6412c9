"""Sweeps on a Slurm cluster: job arrays whose batch scripts call `rnnlab train`."""
