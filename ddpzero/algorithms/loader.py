"""Finds a plugin by its module's name and checks that it keeps the contract of base.py.

Called while the config is checked and again where the algorithm is made; imports nothing heavy by itself.
"""

from __future__ import annotations

import importlib
from dataclasses import is_dataclass
from types import ModuleType

from ddpzero.system.errors import UserError, in_one_line, require
from ddpzero.system.metric_info import MetricInfo


def load_plugin(module_name: str) -> ModuleType:
    """The plugin's module, with SECTIONS and make_algorithm; UserError when it cannot be imported or lacks them."""
    require(
        all(part.isidentifier() for part in module_name.split(".")),
        f"algorithm.plugin={module_name!r} is not the name of a module: write algorithm.plugin=package.module.",
    )
    try:
        plugin = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"algorithm.plugin={module_name} cannot be imported ({error}): name a module, and put its folder on "
            "PYTHONPATH if it is not installed."
        ) from None
    except (Exception, SystemExit) as error:  # a module of the user's may do anything
        raise UserError(
            f"algorithm.plugin={module_name} cannot be imported ({in_one_line(error)}): mend that module."
        ) from error
    sections = getattr(plugin, "SECTIONS", None)
    if (
        not isinstance(sections, dict)
        or not all(is_dataclass(section) for section in sections.values())
        or not callable(getattr(plugin, "make_algorithm", None))
    ):
        raise UserError(
            f"algorithm.plugin={module_name} ({plugin.__file__}) is not a plugin: it needs SECTIONS, a dict of "
            "section name to dataclass, and make_algorithm(sections)."
        )
    return plugin


def declared_metrics(module_name: str) -> dict[str, MetricInfo]:
    """What a plugin declares of its metrics; empty if it declares nothing. Raises UserError for anything else."""
    metrics = getattr(load_plugin(module_name), "METRICS", {})
    require(
        isinstance(metrics, dict)
        and all(isinstance(tag, str) and isinstance(i, MetricInfo) for tag, i in metrics.items()),
        f"algorithm.plugin={module_name} has a METRICS that is no dict of tag to MetricInfo: declare each metric as in "
        'METRICS = {"losses/total": MetricInfo("What it is.")}, from ddpzero.system.metric_info.',
    )
    return metrics
