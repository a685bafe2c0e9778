"""The parts that several board games share."""
