"""Protocols in which other programs play against an agent: GTP in gtp/, Gomocup's in gomocup/."""
