"""Pin the CPU kernels before a test loads PyTorch, as every stage does."""

from siglip2_multimodal_hash.kernels import pin_cpu_kernels

pin_cpu_kernels()
