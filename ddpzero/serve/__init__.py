"""The collection server: takes games of contributors, validates them, and hands out models (`ddpzero serve`)."""
