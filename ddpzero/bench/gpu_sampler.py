"""Samples nvidia-smi during a measurement: use, memory and power of the GPUs. Imports nothing but Python."""

from __future__ import annotations

import subprocess
from statistics import fmean


class GpuSampler:
    """Samples nvidia-smi while its block runs; the summary is "" if there is no such program."""

    def __enter__(self) -> GpuSampler:
        self._text = ""
        query = "--query-gpu=utilization.gpu,memory.used,power.draw"
        command = ["nvidia-smi", query, "--format=csv,noheader,nounits", "-lms", "500"]
        try:
            self._process: subprocess.Popen[str] | None = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        except OSError:
            self._process = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._text = self._process.communicate()[0]

    def summary(self) -> str:
        """Return "GPU 81 % busy, 23.4 GiB, 412 W", or "": means over the second half of the time, maximum of memory."""
        return summarize_samples(self._text)


def summarize_samples(text: str) -> str:
    """Summarize nvidia-smi's lines "utilization, MiB, watts", one per GPU and sample; fields may be "[N/A]"."""
    rows = [[_number(field) for field in line.split(",")] for line in text.splitlines()]
    rows = [row for row in rows if len(row) == 3]
    rows = rows[len(rows) // 2 :]
    busy, memory, power = (
        [value for row in rows if (value := row[column]) is not None] for column in range(3)
    )
    parts = [
        f"GPU {fmean(busy):.0f} % busy" if busy else "",
        f"{max(memory) / 1024:.1f} GiB" if memory else "",
        f"{fmean(power):.0f} W" if power else "",
    ]
    return ", ".join(part for part in parts if part)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
