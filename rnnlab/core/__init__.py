"""What every layer stands on: errors, random streams, registries, activations, parameters."""
