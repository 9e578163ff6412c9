"""YAML to one frozen experiment: faults come all at once, each with file, line, column and dotted key."""
