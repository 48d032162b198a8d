"""Sets of pictures and tables: files, their order in training, batches on the device, and how pictures are changed."""
