"""Sweeps: several trainings with Hydra's --multirun, in this process or in the processes of another launcher.

conf/config.yaml names `SweepChecks`, which Hydra calls before the first job; main.py runs each job through `run_job`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ddpzero.system.cores import usable_cores
from ddpzero.system.errors import EXIT_CODE_OF_FAILURE, EXIT_CODE_OF_USER_ERROR, UserError, require
from ddpzero.system.failures import RunFailed, leave, print_failure
from ddpzero.system.parent import follow_parent
from ddpzero.system.signals import StopSignal, install_stop_signal
from ddpzero.system.terminal import prepare_output
from ddpzero.training.objective import check_objective, read_objective

if TYPE_CHECKING:
    from omegaconf import DictConfig


# The Optuna sweeper writes this file.
_RESULTS_FILE = "optimization_results.yaml"


class JobFailed(Exception):
    """A job of a sweep has failed or was stopped. sentence, exit_code: how the sweep reports it and exits."""

    def __init__(self, sentence: str, exit_code: int) -> None:
        # Both arguments, so that another process can unpickle the error.
        super().__init__(sentence, exit_code)
        self.sentence = sentence
        self.exit_code = exit_code


def explain_launcher_error(error: Exception) -> str | None:
    """Return a sentence if a launcher has lost the process of a job; None for any other error."""
    package = type(error).__module__.partition(".")[0]
    if package not in ("joblib", "submitit"):
        return None
    reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return (
        f"a process of the launcher {package} was lost, and with it the jobs that had not ended: {reason.strip()} The "
        "same command continues from their checkpoints."
    )


# ------------------------------------------------------------------ before the first job


class SweepChecks(Callback):
    """A callback that Hydra calls in the launching process, only before and after a --multirun."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Exit with one sentence if the sweep cannot work."""
        try:
            check_ranks(int(os.environ.get("WORLD_SIZE", "1")))
            # Unresolved, because ${...} has no value yet.
            words: Any = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
            check_run_names(words)
            objective = config.sweep.objective
            check_objective(None if objective is None else str(objective))
            _check_sweeper(config.hydra.sweeper._target_, objective)
            require(
                config.hydra.launcher.get("n_jobs") != 0,
                "hydra.launcher.n_jobs=0: no job could run. Write how many run at a time, or -1 for as many as cores.",
            )
        # Hydra would turn the exception into a warning.
        except UserError as error:
            leave(str(error), EXIT_CODE_OF_USER_ERROR)
        if not config.hydra.launcher._target_.endswith(".BasicLauncher"):
            _pass_stop_signals_on()
        if (folder := config.hydra.launcher.get("submitit_folder")) is not None:
            _say(f"what the jobs say is in {folder}")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the result of an optimizing sweeper, because Hydra's loggers are silent."""
        path = Path(config.hydra.sweep.dir) / _RESULTS_FILE
        if config.hydra.sweeper._target_.endswith(".OptunaSweeper") and path.is_file():
            best: Any = OmegaConf.to_container(OmegaConf.load(path))
            parameters = " ".join(f"{k}={v}" for k, v in best["best_params"].items())
            _say(
                f"best {config.sweep.objective} = {best['best_value']:.6g} with {parameters} ({path})"
            )


def check_ranks(world_size: int) -> None:
    """Raise UserError under torchrun with several ranks: Hydra would sweep in each of them."""
    require(
        world_size == 1,
        f"--multirun trains one job after another in one process, but torchrun has started {world_size}: start "
        "torchrun once for each job, as in: for seed in 1 2; do torchrun ... seed=$seed run_name=seed_$seed; done",
    )


def check_run_names(overrides: Sequence[str]) -> None:
    """Raise UserError for a sweep that would train all jobs in one folder."""
    names = [override for override in overrides if override.lstrip("+").startswith("run_name=")]
    require(
        any("," in name or "${" in name for name in names),
        "--multirun needs another run_name for each job, or all would continue the same run: add, for instance, "
        "'run_name=job_${hydra:job.num}'.",
    )


def _check_sweeper(target: str, objective: object) -> None:
    is_basic = target.endswith(".BasicSweeper")
    require(
        is_basic or objective is not None,
        f"sweep.objective=null: {target.rpartition('.')[2]} chooses the next jobs by the objectives of the last ones. "
        "Set it to a metric or a counter of the run, as in sweep.objective=losses/total.",
    )


def _pass_stop_signals_on() -> None:
    """Forward stop signals to the processes of a launcher, which then stop and save.

    They get SIGTERM: Ctrl-C in a terminal also reaches them, and a second SIGINT would stop them without saving.
    """
    import psutil

    own_handlers = {
        number: signal.getsignal(number)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
    }

    def pass_on(number: int, frame: FrameType | None) -> None:
        for child in psutil.Process().children(recursive=True):
            try:
                child.send_signal(signal.SIGTERM)
            # The process has ended.
            except psutil.Error:
                continue
        handler = own_handlers[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number, handler in own_handlers.items():
        if callable(handler):
            signal.signal(number, pass_on)


# ------------------------------------------------------------------ one job


def silence_hydra() -> None:
    """Keep Hydra from printing a line each time the result of a failed job is read.

    Hydra has no setting for it; reading the result still raises the error.
    """

    def read(job: JobReturn) -> Any:
        if job.status is JobStatus.FAILED:
            raise job._return_value
        return value.fget(job)

    value: Any = JobReturn.__dict__["return_value"]
    JobReturn.return_value = property(read, value.fset)  # type: ignore[assignment, method-assign]


def run_job(
    config: DictConfig,
    train: Callable[[StopSignal, int], tuple[Path, str | None]],
    stop: StopSignal,
    launcher_pid: int,
) -> float | None:
    """Train one job of a sweep and return its objective, None without one.

    config: the job's composed config. train: `(stop, jobs_at_once)` -> the run's folder and sweep.objective; raises
    UserError or RunFailed. stop: the stop signal of the launching process, whose id is launcher_pid; with launchers
    other than Hydra's default the job runs in another process, where `stop` is only a copy.
    Raises JobFailed, so that the other jobs continue; SystemExit in the launching process if they should not.
    """
    is_launchers_process = os.getpid() == launcher_pid
    if is_launchers_process:
        # After a failure Ctrl-C is ignored, so that it cannot tear the report.
        install_stop_signal(stop)
    else:
        stop = _stop_signal_of_job_process()
        _become_job_process(launcher_pid)
    name = _name_of(config)
    try:
        trained = None if stop.is_set else train(stop, _jobs_at_once())
    # The reason has been printed.
    except RunFailed as error:
        raise JobFailed(
            f"a job of the sweep failed: {name}: {error}", EXIT_CODE_OF_FAILURE
        ) from None
    except UserError as error:
        print_failure(f"{name}: {error}")
        raise JobFailed(
            f"a job of the sweep failed: {name}: {error}", EXIT_CODE_OF_USER_ERROR
        ) from None
    if trained is None or stop.is_set:
        sentence = (
            f"the sweep was stopped at {name} ({stop.reason}); the same command continues it."
        )
        if is_launchers_process:
            leave(sentence, EXIT_CODE_OF_FAILURE)
        raise JobFailed(sentence, EXIT_CODE_OF_FAILURE)
    try:
        return _tell_objective(*trained)
    except UserError as error:
        # The next jobs would fail in the same way.
        if is_launchers_process:
            leave(str(error), EXIT_CODE_OF_USER_ERROR)
        raise JobFailed(str(error), EXIT_CODE_OF_USER_ERROR) from None


def _name_of(config: DictConfig) -> str:
    try:
        return str(config.run_name)
    # This job's run_name cannot be resolved.
    except OmegaConfBaseException:
        return f"job {HydraConfig.get().job.num}"


def _jobs_at_once() -> int:
    """Return how many jobs share this machine's cores, by the launcher's n_jobs (joblib; -1 for all cores)."""
    n_jobs = HydraConfig.get().launcher.get("n_jobs", 1)
    return n_jobs if n_jobs > 0 else usable_cores()


@cache
def _stop_signal_of_job_process() -> StopSignal:
    """Return the stop signal that all jobs of this process share, so that no job starts after a stop."""
    return StopSignal()


def _become_job_process(launcher_pid: int) -> None:
    """Install the stop signal, make this process end with the launcher, and disable the live progress line."""
    install_stop_signal(_stop_signal_of_job_process())
    prepare_output()
    # Several jobs share the terminal.
    os.environ["TERM"] = "dumb"
    # Jobs on a cluster have another parent and continue without their launcher on purpose.
    if os.getppid() == launcher_pid:
        follow_parent(launcher_pid)


# ------------------------------------------------------------------ the objective of a job


def _tell_objective(run_dir: Path, name: str | None) -> float | None:
    if name is None:
        return None
    value = read_objective(run_dir, name)
    _say(f"{run_dir.name}: {name} = {value:.6g}")
    return value


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
