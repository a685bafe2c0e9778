"""The parts that all games share: contracts, loading, compilation, checks."""
