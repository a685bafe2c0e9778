"""Samples of stored games as a torch Dataset."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


class SampleDataset(Dataset[dict[str, Tensor]]):
    """Each item is a sample: a dict of tensors by the names of its fields, without a batch dimension."""

    def __init__(
        self,
        columns: Mapping[str, np.ndarray],
        planes: Callable[[np.ndarray], np.ndarray] | None,
    ) -> None:
        """columns: `[n, *shape]`. planes: unpacks the observations, see Episodes; None: none are packed."""
        self._columns = columns
        self._planes = planes

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Raises TypeError for a slice: torch.utils.data.Subset takes several."""
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index}: there are {len(self)}.")
        return {name: column[0] for name, column in self._rows([index]).items()}

    def __getitems__(self, indices: list[int]) -> list[dict[str, Tensor]]:
        """A DataLoader asks for the samples of a batch at once: their observations are unpacked together."""
        rows = self._rows(indices)
        return [{name: column[i] for name, column in rows.items()} for i in range(len(indices))]

    def _rows(self, indices: list[int]) -> dict[str, Tensor]:
        rows = {name: column[indices] for name, column in self._columns.items()}
        if self._planes is not None:
            rows["observation"] = self._planes(rows["observation"])
        return {name: torch.from_numpy(np.ascontiguousarray(row)) for name, row in rows.items()}
