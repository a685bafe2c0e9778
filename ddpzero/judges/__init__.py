"""Verdicts from outside: recorded games, counts of positions, perfect play."""
