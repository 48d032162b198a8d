"""Networks that all kinds share: multilayer perceptrons, convolutional and recurrent networks, and their export."""
