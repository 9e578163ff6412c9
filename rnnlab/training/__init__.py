"""Training: from an experiment to a run folder, reported as events; nothing here prints."""
