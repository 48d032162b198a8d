"""Sets of pictures: packed files, their order in training, and batches on the device."""
