"""Timings against peers: one module per question, each with its command and its figure."""

# First of all, so that the CPU kernels are pinned before a numerical library is loaded.
import siglip2_multimodal_hash  # noqa: F401
