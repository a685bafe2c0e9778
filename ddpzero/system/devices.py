"""The device that a rank trains on, and what kinds of devices have in common."""

from __future__ import annotations

import socket

import torch

from ddpzero.system.errors import require


def cpu_has_bfloat16() -> bool:
    """Return whether networks can be computed in bfloat16 on this processor, be it slowly."""
    # Also true with plain AVX-512, where bfloat16 is emulated and slow.
    has_onednn = torch.backends.mkldnn.is_available()
    return bool(has_onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def choose_device(device: str, local_rank: int, local_world_size: int) -> torch.device:
    """Return this rank's device. Raises UserError if the node has no such device, or fewer than ranks.

    "auto" is a GPU of CUDA if there is one, else the CPU. Apple's GPU has to be asked for: there PyTorch takes 25 to
    110 us for each operation, in which a CPU has evaluated a small network, and ddpzero was never run on it.
    """
    if device == "mps":
        require_apple_gpu("device")
        require_one_rank(local_world_size)
        return torch.device("mps")
    has_gpu = torch.cuda.is_available()
    if device == "cpu" or (device == "auto" and not has_gpu):
        return torch.device("cpu")
    require(
        has_gpu,
        f"device={device}: PyTorch sees no GPU on {socket.gethostname()}. Use device=cpu or auto, or check that the "
        "driver and a CUDA build of PyTorch are installed and CUDA_VISIBLE_DEVICES is not empty.",
    )
    num_gpus = torch.cuda.device_count()
    require(
        local_world_size <= num_gpus,
        f"torchrun started {local_world_size} ranks on {socket.gethostname()}, which has {num_gpus} GPU(s): use "
        f"--nproc_per_node={num_gpus}, or device=cpu.",
    )
    return torch.device("cuda", local_rank)


def has_apple_gpu() -> bool:
    """Return whether PyTorch can use the GPU of this Apple computer, which it calls "mps"."""
    return torch.backends.mps.is_available()


def require_apple_gpu(path: str) -> None:
    """Raise UserError unless the setting with this path may be mps."""
    require(
        has_apple_gpu(),
        f"{path}=mps: PyTorch sees no Apple GPU on {socket.gethostname()}. Use {path}=cpu or auto; mps needs Apple "
        "silicon with macOS 12.3 or later.",
    )


def require_one_rank(num_ranks: int) -> None:
    """Raise UserError if several ranks would train on Apple GPUs."""
    require(
        num_ranks == 1,
        f"device=mps trains with one rank, and torchrun started {num_ranks}: a Mac has one GPU, and ranks on several "
        "cannot exchange gradients. Start one rank, or use device=cpu.",
    )


def synchronize(device: torch.device) -> None:
    """Wait for all work that was submitted to `device`."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def memory_in_use(device: torch.device) -> int | None:
    """Return the bytes in use on a GPU by all processes, on an Apple GPU by this one; None for the CPU."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return total - free
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    return None
