"""Snakes on a torus: the game in game.py, its rules, views, agents and pictures beside it."""
