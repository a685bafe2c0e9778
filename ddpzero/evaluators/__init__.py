"""Evaluators: observations in, priors and outcomes out. Searches and actors call them; they know no search.

submit(slot, num_positions) ... collect(slot): on a GPU one slot is evaluated while another is written. Imports nothing,
so that searches can use the format of answers (answers.py) without torch.
"""
