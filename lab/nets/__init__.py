"""Networks shared by agents and generators: multilayer perceptrons, convolutional and recurrent networks."""
