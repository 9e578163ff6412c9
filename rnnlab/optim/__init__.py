"""How parameters move: update rules, learning-rate schedules and clipping, one definition for every backend."""
