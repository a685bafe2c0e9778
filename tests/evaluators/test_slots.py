import pytest

from ddpzero.evaluators.slots import batch_sizes


@pytest.mark.parametrize(
    ("max_batch", "sizes"),
    [
        (1, [1]),
        (2, [1, 2]),
        (128, [1, 2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128]),
        (100, [1, 2, 4, 8, 13, 26, 39, 52, 65, 78, 91, 100]),
    ],
)
def test_batches_come_in_few_sizes(max_batch, sizes):
    assert batch_sizes(max_batch) == sizes


@pytest.mark.parametrize("max_batch", [64, 256, 512, 1000])
def test_at_most_an_eighth_of_the_largest_batch_is_filled_up(max_batch):
    sizes = batch_sizes(max_batch)
    for num_positions in range(1, max_batch + 1):
        size = next(size for size in sizes if size >= num_positions)
        assert size - num_positions < max(max_batch / 8 + 1, num_positions)
