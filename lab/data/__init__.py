"""Sets of images and tables: files, their order in training, batches on the device, and how images are changed."""
