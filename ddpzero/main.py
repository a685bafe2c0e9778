"""The entry point of training, started once per rank by torchrun:

    torchrun --standalone --nproc_per_node=8 -m ddpzero.main                          Connect Four, until stopped
    torchrun --standalone --nproc_per_node=1 -m ddpzero.main +experiment=quick        five minutes on two CPU cores
    torchrun --standalone --nproc_per_node=1 -m ddpzero.main +experiment=gomoku +hardware=gpu24gb run_name=gomoku_1
    python -m ddpzero.main game=gomoku game.size=9 search=puct learner.max_minutes=30 one rank, without torchrun
    python -m ddpzero.main +experiment=quick --cfg job                                print the config and stop

The same command again continues the run in runs/<run_name>. Spawned actors also import this file, so its top level
imports nothing heavy.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ddpzero.system.errors import (
    EXIT_CODE_OF_FAILURE,
    EXIT_CODE_OF_USER_ERROR,
    UserError,
    in_one_line,
)
from ddpzero.system.failures import RunFailed, leave, print_failure
from ddpzero.system.parent import die_with_parent
from ddpzero.system.signals import StopSignal, install_stop_signal
from ddpzero.system.terminal import prepare_output, until_reader_leaves

if TYPE_CHECKING:
    from omegaconf import DictConfig

# What another environment lacks first.
_LIBRARIES = (
    "hydra",
    "numba",
    "numpy",
    "omegaconf",
    "psutil",
    "rich",
    "safetensors",
    "torch",
    "yaml",
)


def main() -> None:
    """Train with the settings on the command line; report a failure by one sentence and an exit code."""
    die_with_parent()
    # Installed before torch is imported, so that a signal during the import is handled.
    stop = install_stop_signal()
    prepare_output()
    try:
        until_reader_leaves(lambda: _compose_and_train(stop), None)
    except KeyboardInterrupt:
        leave("interrupted twice before the run started.", EXIT_CODE_OF_FAILURE)
    except ModuleNotFoundError as error:
        if error.name not in _LIBRARIES:
            raise
        leave(
            f"this Python ({sys.executable}) has no module {error.name}: activate the environment of ddpzero (source "
            ".venv/bin/activate), or make one (bash launch/setup.sh).",
            EXIT_CODE_OF_USER_ERROR,
        )


def _compose_and_train(stop: StopSignal) -> None:
    """Compose the config from the command line, check it, and train."""
    # Make Hydra raise errors: its own report differs from ours, and every rank would print it.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # Problems that torch's C++ code warns about (lost connections, ...) also raise exceptions, which are reported once.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from ddpzero.config.conf_folder import CONFIG_NAME, conf_dir
    from ddpzero.config.hydra import HYDRA_VERSION
    from ddpzero.config.overrides import arrange_words
    from ddpzero.sweep import run_job, silence_hydra
    from ddpzero.system.machine import require_current_folder

    launcher_pid = os.getpid()
    silence_hydra()

    @hydra.main(version_base=HYDRA_VERSION, config_path=str(conf_dir()), config_name=CONFIG_NAME)
    def run(config: DictConfig) -> float | None:
        overrides = HydraConfig.get().overrides.task
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            return run_job(
                config,
                lambda own_stop, jobs_at_once: _train(config, overrides, own_stop, jobs_at_once),
                stop,
                launcher_pid,
            )
        try:
            _train(config, overrides, stop, tell_of_objective=True)
        except RunFailed:
            raise SystemExit(EXIT_CODE_OF_FAILURE) from None
        except UserError as error:
            leave(str(error), EXIT_CODE_OF_USER_ERROR)
        return None

    try:
        require_current_folder()
        sys.argv[1:] = arrange_words([_at_home(word) for word in sys.argv[1:]])
        run()
    except BrokenPipeError:
        raise
    except Exception as error:
        _leave_if_explained(error)
        raise


def _leave_if_explained(error: Exception) -> None:
    """Exit with a sentence and an exit code if the error is no bug; return otherwise."""
    from ddpzero.config.explanations import explain
    from ddpzero.sweep import JobFailed, explain_launcher_error

    if isinstance(error, UserError):
        leave(str(error), EXIT_CODE_OF_USER_ERROR)
    if isinstance(error, JobFailed):
        leave(error.sentence, error.exit_code)
    if _is_out_of_memory(error):
        leave(
            f"memory ran out while libraries were loaded ({in_one_line(error)}). Free some memory, or raise this "
            "process's limit (ulimit -v, the memory of the job or the container).",
            EXIT_CODE_OF_FAILURE,
        )
    if (lost := explain_launcher_error(error)) is not None:
        leave(lost, EXIT_CODE_OF_FAILURE)
    if (sentence := explain(error)) is not None:
        leave(sentence, EXIT_CODE_OF_USER_ERROR)


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether the import of a library failed because it could not be mapped into memory."""
    marks = ("failed to map segment", "Cannot allocate memory", "cannot allocate memory")
    is_of_loader = isinstance(error, ImportError) and any(mark in str(error) for mark in marks)
    return is_of_loader or isinstance(error, MemoryError)


def _train(
    config: DictConfig,
    overrides: Sequence[str],
    stop: StopSignal,
    jobs_at_once: int = 1,
    tell_of_objective: bool = False,
) -> tuple[Path, str | None]:
    """Check the composed config and train; return the run's folder and sweep.objective. Raises UserError, RunFailed.

    tell_of_objective: warn that sweep.objective has no effect; True for a run that is not a job of a sweep.
    """
    from ddpzero.config.conversion import settings_to_dict
    from ddpzero.config.hydra import settings_from_config
    from ddpzero.config.ignored import ignored_settings
    from ddpzero.training.objective import share_cores

    settings = share_cores(settings_from_config(config, overrides), jobs_at_once)
    objective = settings.sweep.objective
    if tell_of_objective and objective is not None and os.environ.get("RANK", "0") == "0":
        print_failure(f"sweep.objective={objective} has no effect without --multirun.")
    from ddpzero.training.learner import train

    notices = ignored_settings(settings, world_size=int(os.environ.get("WORLD_SIZE", "1")))
    train(settings, settings_to_dict(settings), stop, notices)
    return Path(settings.runs_dir) / settings.run_name, objective


def _at_home(word: str) -> str:
    """Return a folder given to --config-dir with its ~ expanded, and every other word unchanged."""
    option, equals, path = word.rpartition("=")
    is_folder = path.startswith("~/") and option in ("", "--config-dir")
    return f"{option}{equals}{os.path.expanduser(path)}" if is_folder else word


if __name__ == "__main__":
    main()
