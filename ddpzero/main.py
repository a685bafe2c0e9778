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
from typing import TYPE_CHECKING, NoReturn

from ddpzero.signals import StopSignal, die_with_parent, install_stop_signal
from ddpzero.terminal import prepare_output, until_reader_leaves

if TYPE_CHECKING:
    from omegaconf import DictConfig

EXIT_CODE_OF_FAILURE = 1
EXIT_CODE_OF_USER_ERROR = 2


def main() -> None:
    """Train by the command line; every failure ends in one sentence and an exit code."""
    die_with_parent()
    # Before torch: a signal that comes while it loads must find the handler.
    stop = install_stop_signal()
    prepare_output()
    try:
        until_reader_leaves(lambda: _compose_and_train(stop), None)
    except KeyboardInterrupt:
        _leave("interrupted twice before the run began.", EXIT_CODE_OF_FAILURE)


def _compose_and_train(stop: StopSignal) -> None:
    """Compose the config from the command line, check it, and train."""
    # Hydra's own report of an error differs from ours and comes from every rank: let us have the exception.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # What torch's C++ code warns of (lost connections, ...) ends in an exception, too, which is reported once.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from ddpzero.config import (
        CONFIG_NAME,
        HYDRA_VERSION,
        check_words,
        conf_dir,
        explain,
        settings_from_config,
    )
    from ddpzero.conversion import settings_to_dict
    from ddpzero.settings import UserError

    @hydra.main(version_base=HYDRA_VERSION, config_path=str(conf_dir()), config_name=CONFIG_NAME)
    def run(config: DictConfig) -> None:
        try:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                _check_multirun(sys.argv[1:], int(os.environ.get("WORLD_SIZE", "1")))
            settings = settings_from_config(config, HydraConfig.get().overrides.task)
            from ddpzero.failures import RunFailed
            from ddpzero.learner import train

            try:
                train(settings, settings_to_dict(settings), stop)
            except RunFailed:
                raise SystemExit(EXIT_CODE_OF_FAILURE) from None
        except UserError as error:
            _leave(str(error), EXIT_CODE_OF_USER_ERROR)

    try:
        check_words(sys.argv[1:])
        sys.argv[1:] = [_at_home(word) for word in sys.argv[1:]]
        run()
    except UserError as error:
        _leave(str(error), EXIT_CODE_OF_USER_ERROR)
    except Exception as error:
        if (sentence := explain(error)) is None:
            raise
        _leave(sentence, EXIT_CODE_OF_USER_ERROR)


def _at_home(word: str) -> str:
    """A folder as --config-dir takes it, with the home that its ~ means; every other word as it is."""
    option, equals, path = word.rpartition("=")
    is_folder = path.startswith("~/") and option in ("", "--config-dir")
    return f"{option}{equals}{os.path.expanduser(path)}" if is_folder else word


def _check_multirun(arguments: Sequence[str], world_size: int) -> None:
    """Raise UserError for a --multirun that would fail at its second job, or train all jobs in one folder."""
    from ddpzero.settings import require

    require(
        world_size == 1,
        f"--multirun trains one job after another in one process, but torchrun has started {world_size}: start "
        "torchrun once for each job, as in: for seed in 1 2; do torchrun ... seed=$seed run_name=seed_$seed; done",
    )
    names = [argument for argument in arguments if argument.lstrip("+").startswith("run_name=")]
    require(
        any("," in name or "${" in name for name in names),
        "--multirun needs another run_name for each job, or all would continue the same run: add, for instance, "
        "'run_name=job_${hydra:job.num}'.",
    )


def _leave(sentence: str, exit_code: int) -> NoReturn:
    """Say once per node what all of its ranks have met, and exit."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"ddpzero: {sentence}", file=sys.stderr, flush=True)
    raise SystemExit(exit_code)


if __name__ == "__main__":
    main()
