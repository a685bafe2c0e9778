"""Plugins: one folder per algorithm behind the contract of base.py."""
