"""How strong each game is after how long: runs the experiments of a folder and prints the tables of README as Markdown.

    bash launch/strength.sh [NAME ...]

Each NAME.yaml is an ablation (ablation/experiment.py) with a single variant. OUTPUT/NAME has its results,
OUTPUT/strength.json and OUTPUT/strength.md those of all experiments so far, also of those that are not named this time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ddpzero.bench.ablation.experiment import read_experiment
from ddpzero.bench.ablation.plan import Plan, prepare
from ddpzero.bench.ablation.report import counted
from ddpzero.bench.ablation.results import claim, continue_results, read_results
from ddpzero.bench.ablation.run import finish, say
from ddpzero.bench.ablation.training import TrainingStopped
from ddpzero.bench.strength_tables import markdown, read_rows
from ddpzero.run.progress import duration_text
from ddpzero.system.errors import EXIT_CODE_OF_USER_ERROR, UserError, require
from ddpzero.system.json_text import json_text
from ddpzero.system.whole_files import replace_whole

_EXIT_CODE_OF_STOP = 130


def main(words: Sequence[str] | None = None) -> int:
    """Run the experiments, print the tables, return the exit code."""
    options = _options(words)
    try:
        plans = read_plans(options.folder, options.names)
        return run(plans, known_names(options.folder), options.output)
    except UserError as error:
        print(f"ddpzero: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_CODE_OF_USER_ERROR
    except (TrainingStopped, KeyboardInterrupt):
        say("stopped; the same command continues.")
        return _EXIT_CODE_OF_STOP


def known_names(folder: Path) -> list[str]:
    """Return the names of all experiments of a folder."""
    return sorted(file.stem for file in folder.glob("*.yaml"))


def read_plans(folder: Path, names: Sequence[str]) -> dict[str, Plan]:
    """Return the named experiments of a folder, all without names. Raises UserError."""
    known = known_names(folder)
    for name in names:
        require(name in known, f"{name} is not one of {', '.join(known)}, the files of {folder}.")
    plans = {name: prepare(read_experiment(folder / f"{name}.yaml")) for name in names or known}
    for name, plan in plans.items():
        num_variants = len(plan.experiment.variants)
        require(num_variants == 1, f"{folder / name}.yaml has {num_variants} variants: give one.")
        require(bool(plan.experiment.minutes), f"{folder / name}.yaml has no minutes: give them.")
    return plans


def run(plans: dict[str, Plan], known: Sequence[str], output: Path) -> int:
    """Run the experiments; print the tables of all results so far. Raises UserError, TrainingStopped.

    known: the names of all experiments. Those that are not run now keep their place in the tables.
    """
    _require_readable(plans, known, output)
    minutes = sum(len(p.experiment.seeds) * p.experiment.minutes[-1] for p in plans.values())
    say(
        f"{counted(len(plans), 'experiment')}, {duration_text(60 * minutes)} of training, and their judgments"
    )
    failures: list[str] = []
    for name, plan in plans.items():
        say(f"{name}:")
        with claim(output / name):
            failures += finish(plan, output / name)[1]
        rows = read_rows(known, output)
        document = json_text([asdict(row) for row in rows], indent=1)
        replace_whole(output / "strength.json", f"{document}\n".encode())
        replace_whole(output / "strength.md", f"{markdown(rows)}\n".encode())
    print(markdown(read_rows(known, output)))
    for failure in failures:
        say(failure)
    return 1 if failures else 0


def _require_readable(plans: dict[str, Plan], known: Sequence[str], output: Path) -> None:
    """Raise UserError for earlier results that would end the command after hours of training."""
    read_rows(known, output)
    for name, plan in plans.items():
        if (before := read_results(output / name)) is not None:
            continue_results(before, plan.experiment, output / name)


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="launch/strength.sh", description="Measure how strong each game is after how long."
    )
    parser.add_argument("folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("names", metavar="NAME", nargs="*", help="files of launch/strength (all)")
    parser.add_argument("--output", type=Path, default=Path("strength"), help="folder (strength)")
    # Names may also follow --output.
    return parser.parse_intermixed_args(words)


if __name__ == "__main__":
    sys.exit(main())
