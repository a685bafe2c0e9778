"""The benchmarks behind every speed that README claims: `ddpzero bench rules|search|learner`."""
