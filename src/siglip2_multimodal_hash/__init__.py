"""Multi-label classification and retrieval of image + caption pairs by learned binary codes.

Importing the package pins the CPU kernels (see :mod:`siglip2_multimodal_hash.kernels`) before any
numerical library is loaded, because those libraries read their settings only once.
"""

from siglip2_multimodal_hash.kernels import pin_cpu_kernels

pin_cpu_kernels()
