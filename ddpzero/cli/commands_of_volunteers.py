"""Runs serve and contribute, the two sides of a training with contributors.

arguments_of_volunteers.py names each function beside its arguments. Each imports what it needs only when it runs.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ddpzero.cli.command_parts import needs_extra
from ddpzero.system.errors import require


def do_serve(options: Namespace) -> int:
    with needs_extra("serve", "server"):
        from ddpzero.serve.run import run_add_user, run_remove_user, run_serve

    folder, overrides = Path(options.folder), options.overrides
    require(
        options.add_user is None or options.remove_user is None,
        "--add-user and --remove-user exclude each other: use one of them.",
    )
    require(
        options.role is None or options.add_user is not None,
        f"--role {options.role} has no effect without --add-user.",
    )
    if options.add_user is not None:
        run_add_user(folder, options.add_user, options.role or "contributor", overrides)
    elif options.remove_user is not None:
        run_remove_user(folder, options.remove_user, overrides)
    else:
        run_serve(folder, overrides)
    return 0


def do_contribute(options: Namespace) -> int:
    with needs_extra("contribute", "contribute"):
        from ddpzero.contribute.check import run_check
        from ddpzero.contribute.run import run_contribute
        from ddpzero.contribute.settings import read_settings

    file = None if options.config is None else Path(options.config)
    settings = read_settings(options.url, file, options.overrides)
    if options.check:
        run_check(settings)
    else:
        run_contribute(settings)
    return 0
