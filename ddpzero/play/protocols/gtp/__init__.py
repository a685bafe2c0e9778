"""GTP, the Go Text Protocol, version 2, and what other programs have added to it. `ddpzero gtp` calls run.run_gtp."""
