"""Timings against peers: one module a question, each with its command and its figure."""
