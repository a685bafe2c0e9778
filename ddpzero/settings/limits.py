"""The largest values that settings of several groups may have."""

# More threads than any processor has, and about thirty years.
MAX_THREADS = 1024
MAX_SECONDS = 1_000_000_000
