"""Sums of metrics that stay on their device."""

import torch

from ddpzero.training.device_sums import DeviceSums


def test_each_tag_has_its_sum_whatever_it_comes_with():
    sums = DeviceSums()
    sums.add({"a": torch.tensor(1.0), "b": torch.tensor(2, dtype=torch.int64)})
    sums.add({"b": torch.tensor(3.0), "a": torch.tensor(4.0, dtype=torch.float64)})
    sums.add({"a": torch.tensor(10.0, requires_grad=True)})
    sums.add({})
    assert sums.take() == {"a": 15.0, "b": 5.0}
    assert sums.take() == {}


def test_a_sum_is_not_changed_by_what_becomes_of_its_values():
    sums, value = DeviceSums(), torch.tensor(1.0)
    sums.add({"a": value})
    value.fill_(100.0)
    sums.add({"a": torch.tensor(1.0)})
    assert sums.take() == {"a": 2.0}
