"""How results are shown: tables, curves, progress, JSON."""
