"""Training's entry point, started once per rank by torchrun:

    torchrun --standalone --nproc_per_node=8 -m ddpzero.main                          Connect Four until it is stopped
    torchrun --standalone --nproc_per_node=1 -m ddpzero.main +experiment=quick        five minutes on two CPU cores
    torchrun --standalone --nproc_per_node=1 -m ddpzero.main +experiment=gomoku +hardware=gpu24gb run_name=gomoku_1
    python -m ddpzero.main game=gomoku game.size=9 search=puct learner.max_minutes=30 one rank, without torchrun
    python -m ddpzero.main +experiment=quick --cfg job                                print the config and stop

The same command again continues the run in runs/<run_name>. Spawned actors import this file, too: nothing heavy at
its top.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ddpzero.run.failures import RunFailed, leave, print_failure
from ddpzero.system.errors import EXIT_CODE_OF_FAILURE, EXIT_CODE_OF_USER_ERROR, UserError
from ddpzero.system.parent import die_with_parent
from ddpzero.system.signals import StopSignal, install_stop_signal
from ddpzero.system.terminal import prepare_output, until_reader_leaves

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main() -> None:
    """Train by the command line; every failure ends in one sentence and an exit code."""
    die_with_parent()
    # Before torch: a signal that comes while it loads must find the handler.
    stop = install_stop_signal()
    prepare_output()
    try:
        until_reader_leaves(lambda: _compose_and_train(stop), None)
    except KeyboardInterrupt:
        leave("interrupted twice before the run began.", EXIT_CODE_OF_FAILURE)


def _compose_and_train(stop: StopSignal) -> None:
    """Compose the config from the command line, check it, and train."""
    # Hydra's own report of an error differs from ours and comes from every rank: let us have the exception.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # What torch's C++ code warns of (lost connections, ...) ends in an exception, too, which is reported once.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from ddpzero.config.hydra import CONFIG_NAME, HYDRA_VERSION, arrange_words, conf_dir, explain
    from ddpzero.sweep import JobFailed, explain_launcher_error, run_job, silence_hydra
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
    except UserError as error:
        leave(str(error), EXIT_CODE_OF_USER_ERROR)
    except JobFailed as error:
        leave(error.sentence, error.exit_code)
    except BrokenPipeError:
        raise
    except Exception as error:
        if (lost := explain_launcher_error(error)) is not None:
            leave(lost, EXIT_CODE_OF_FAILURE)
        if (sentence := explain(error)) is None:
            raise
        leave(sentence, EXIT_CODE_OF_USER_ERROR)


def _train(
    config: DictConfig,
    overrides: Sequence[str],
    stop: StopSignal,
    jobs_at_once: int = 1,
    tell_of_objective: bool = False,
) -> tuple[Path, str | None]:
    """Check what Hydra composed and train; returns the run's folder and sweep.objective. UserError or RunFailed.

    tell_of_objective: say that sweep.objective has no effect; true for a run that is no job of a sweep.
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
    """A folder as --config-dir takes it, with the home that its ~ means; every other word as it is."""
    option, equals, path = word.rpartition("=")
    is_folder = path.startswith("~/") and option in ("", "--config-dir")
    return f"{option}{equals}{os.path.expanduser(path)}" if is_folder else word


if __name__ == "__main__":
    main()
