"""What several board games share."""
