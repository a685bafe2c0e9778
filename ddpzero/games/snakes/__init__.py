"""Snakes on a torus: the game in game.py, its rules, views, agents and pictures in the other files."""
