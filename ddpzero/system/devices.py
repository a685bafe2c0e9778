"""The device that a rank trains on."""

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
    """Return this rank's device. Raises UserError if the node has no GPU, or fewer than ranks."""
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
