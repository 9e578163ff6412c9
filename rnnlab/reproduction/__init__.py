"""Published results as rows that are trained again: what a paper printed, ours beside it, and whether they agree."""
