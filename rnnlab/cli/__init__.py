"""The command line: one command a file, found by name; the only layer that prints."""
