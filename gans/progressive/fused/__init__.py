"""Layers of the growing networks as one operation each, with derivatives in closed form.

A layer of torch is three to ten operations, each with its own node of the graph and its own maps in memory. On maps of
4x4 and 8x8 these cost as much as the convolutions. Here a layer is one node and keeps only its input and its output:
leaky ReLU has the sign of its result, and pixel norm has a closed form in its result. What the discriminator uses is
twice differentiable, as gradient penalties need. The second derivative of leaky ReLU is zero, so that the second pass
is a forward pass of the direction through the same masks.

Convolutions use the dtype of their input. Weights, their gradients and the dense layers are float32.
"""
