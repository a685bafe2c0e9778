"""Facts about the environments of peers: made once with pip, or refused with a sentence."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ddpzero.bench.peers import environments
from ddpzero.bench.peers.environments import NoEnvironment, default_folder, python_with
from ddpzero.system.errors import UserError
from ddpzero.system.folder_lock import held_folder


@pytest.fixture(scope="module")
def empty_environment(tmp_path_factory) -> Path:
    """An environment that `python -m venv` has made, which takes seconds."""
    folder = tmp_path_factory.mktemp("empty") / "environment"
    assert environments._run([sys.executable, "-m", "venv", str(folder)])[0] == 0
    return folder


@pytest.fixture(autouse=True)
def copied(empty_environment, monkeypatch) -> None:
    """New environments are copies of that one."""
    run = environments._run

    def run_or_copy(command):
        if command[1:3] == ["-m", "venv"]:
            shutil.copytree(empty_environment, command[3], symlinks=True)
            return 0, ""
        return run(command)

    monkeypatch.setattr(environments, "_run", run_or_copy)


@pytest.fixture
def only_local(tmp_path, monkeypatch) -> Path:
    """A folder of wheels, the only place where pip looks."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return wheels


def write_wheel(folder: Path, version: str) -> None:
    """Write a wheel of the package twig, with one module."""
    info = f"twig-{version}.dist-info"
    with zipfile.ZipFile(folder / f"twig-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("twig.py", f"leaves = {version!r}\n")
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: twig\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(
            f"{info}/RECORD", f"twig.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )


def leaves(python: Path) -> str:
    command = [str(python), "-c", "import twig; print(twig.leaves)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_an_environment_is_made_once_and_anew_for_other_versions(tmp_path, only_local, monkeypatch):
    write_wheel(only_local, "1.0")
    write_wheel(only_local, "2.0")
    folder = tmp_path / "environments"
    python = python_with(folder, "twig", ["twig==1.0"])
    assert leaves(python) == "1.0"
    with monkeypatch.context() as patch:
        patch.setattr(environments, "_run", lambda command: pytest.fail(f"ran {command}"))
        assert python_with(folder, "twig", ["twig==1.0"]) == python
    assert leaves(python_with(folder, "twig", ["twig==2.0"])) == "2.0"


def test_without_a_wheel_it_says_for_which_python(tmp_path, only_local):
    with pytest.raises(
        NoEnvironment, match=r"there is no wheel of twig==9\.0 for Python 3\.\d+ on \w+ "
    ):
        python_with(tmp_path, "twig", ["twig==9.0"])


def test_without_a_network_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    # Nothing listens there.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    with pytest.raises(
        NoEnvironment, match=r"pip reached no package index to install twig==1\.0: connect"
    ):
        python_with(tmp_path, "twig", ["twig==1.0"])


def test_an_installation_that_was_stopped_is_begun_anew(tmp_path, only_local, monkeypatch):
    write_wheel(only_local, "1.0")
    run = environments._run

    def stop_pip(command):
        if "pip" in command:
            raise KeyboardInterrupt
        return run(command)

    with monkeypatch.context() as patch:
        patch.setattr(environments, "_run", stop_pip)
        with pytest.raises(KeyboardInterrupt):
            python_with(tmp_path, "twig", ["twig==1.0"])
    assert leaves(python_with(tmp_path, "twig", ["twig==1.0"])) == "1.0"


def test_two_programs_do_not_install_in_one_folder(tmp_path):
    with (
        held_folder(tmp_path, ""),
        pytest.raises(UserError, match=r"another program is installing peers in .*: wait for it\."),
    ):
        python_with(tmp_path, "twig", ["twig==1.0"])


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("", "pip could not install twig==1.0: it printed nothing"),
        ("ERROR: no space left\n\n", "pip could not install twig==1.0: ERROR: no space left"),
    ],
)
def test_any_other_reason_is_pips_last_line(output, reason):
    assert environments._reason(output, ["twig==1.0"]) == reason


def test_a_command_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr(environments, "_TIME_LIMIT_SECONDS", 0.2)
    assert environments._run(["sleep", "60"]) == (1, "it was not done after 0 s")


def test_environments_are_kept_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "ddpzero" / "peers"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "ddpzero" / "peers"
