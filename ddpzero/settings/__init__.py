"""The settings of the core, as plain dataclasses: each mirrors one group of conf/ and checks itself at construction.

config/ creates them from the composed config; they are passed on as plain arguments. A plugin declares its own settings
(network, search, ...) itself.
"""

from ddpzero.settings.arena import ArenaSettings, JudgeSettings, ReleaseSettings
from ddpzero.settings.collect import CollectSettings
from ddpzero.settings.limits import MAX_SECONDS, MAX_THREADS
from ddpzero.settings.records import (
    CheckpointSettings,
    LoggingSettings,
    StoreSettings,
    SweepSettings,
)
from ddpzero.settings.run import GameSettings, Settings
from ddpzero.settings.training import (
    SELF_PLAY,
    ActorSettings,
    DataSettings,
    LearnerSettings,
    ReplaySettings,
    SimulatedSettings,
)
from ddpzero.system.errors import require

__all__ = [
    "MAX_SECONDS",
    "MAX_THREADS",
    "SELF_PLAY",
    "ActorSettings",
    "ArenaSettings",
    "CheckpointSettings",
    "CollectSettings",
    "DataSettings",
    "GameSettings",
    "JudgeSettings",
    "LearnerSettings",
    "LoggingSettings",
    "ReleaseSettings",
    "ReplaySettings",
    "Settings",
    "SimulatedSettings",
    "StoreSettings",
    "SweepSettings",
    "require",
]
