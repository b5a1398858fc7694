"""What teaches the hash layer beside the classes: one objective a file, pure functions on codes."""
