"""Observations in, priors and values out. Called by searches and actors; knows networks, and no search.

submit(slot, num_positions) ... collect(slot): on a GPU one slot is evaluated while another is written
"""

from ddpzero.evaluators.base import Evaluator
from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.evaluators.rate import bare_forward_rate
from ddpzero.evaluators.uniform import UniformEvaluator

__all__ = ["Evaluator", "NetworkEvaluator", "UniformEvaluator", "bare_forward_rate"]
