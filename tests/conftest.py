"""Pin the kernels before a test loads a numerical library: they read their settings once."""

from siglip2_multimodal_hash.kernels import pin_cpu_kernels

pin_cpu_kernels()
