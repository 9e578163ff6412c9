"""What a network does inside: gradients by lag, spectra, gates, states, fixed points; arrays in, numbers out."""
