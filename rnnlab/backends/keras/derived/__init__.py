"""A layer over a whole sequence with the gradient that is derived from its cell's equation, on any Keras engine."""
