"""YAML to one frozen `Experiment`; all errors come at once, each with file, line, column and dotted key."""
