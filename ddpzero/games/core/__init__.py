"""What every game has to do with: contracts, loading, compiling, checks."""
