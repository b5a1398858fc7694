"""Small networks and losses on embeddings; no files."""
