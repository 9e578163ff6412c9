"""From a cell's equation to a plan that any engine can execute: trace, differentiate, schedule."""
