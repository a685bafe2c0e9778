"""Go: rules and observations in game.py, groups in board.py, superko in history.py."""
