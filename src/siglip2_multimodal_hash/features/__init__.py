"""Frozen towers: images and captions to unnormalised embeddings."""
