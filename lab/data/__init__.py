"""Data: image sets and tables, the order of samples in training, batches on the device, operations on images."""
