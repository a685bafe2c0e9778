"""The contributor: plays games for a collection server with local actors (`ddpzero contribute`)."""
