"""Learning algorithms as plugins: base.py is the contract, and each included algorithm is one folder."""
