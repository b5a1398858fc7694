"""Sources of images, captions, labels and splits."""
