"""Names of the computing devices."""

import torch


def describe_device(device: torch.device) -> str:
    """The card's name, or the threads and kernels of the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
