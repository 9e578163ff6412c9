"""What every layer uses: errors, random streams, registries, activations, parameters."""
