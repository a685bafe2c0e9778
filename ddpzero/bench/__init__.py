"""Benchmarks: `ddpzero bench rules|search|learner`, which measure the speeds in README, and launch/gpu_check.sh."""
