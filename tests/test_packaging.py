"""What is installed is what is in the tree: the wheel has conf/, pins fit pyproject.toml, the map of files is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from tests.places import REPO

PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what an installed wheel puts into site-packages; built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, REPO]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_composes_every_experiment_outside_the_repository(installed, tmp_path):
    code = (
        "import ddpzero\n"
        "from ddpzero.config.conf_folder import conf_dir\n"
        "from ddpzero.config.hydra import compose_settings\n"
        "print(ddpzero.__file__, conf_dir(), sep='\\n')\n"
        "for file in sorted((conf_dir() / 'experiment').glob('*.yaml')):\n"
        "    print(compose_settings([f'+experiment={file.stem}']).run_name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    package, conf, *experiments = done.stdout.splitlines()
    assert package == str(installed / "ddpzero" / "__init__.py")
    assert conf == str(installed / "ddpzero" / "conf")
    assert experiments == sorted(
        file.stem for file in (REPO / "conf" / "experiment").glob("*.yaml")
    )


def test_the_wheel_holds_the_package_conf_and_the_program_and_nothing_else(installed):
    files = {str(file.relative_to(installed)) for file in installed.rglob("*") if file.is_file()}
    expected = {
        str(file.relative_to(REPO))
        for file in (REPO / "ddpzero").rglob("*")
        if file.suffix in (".py", ".pyi") or file.name in ("README.md", "py.typed")
    }
    expected |= {
        str(file.relative_to(REPO))
        for folder in ("positions", "recorded")
        for file in (REPO / "ddpzero" / "judges" / folder).iterdir()
    }
    expected |= {
        str(file.relative_to(REPO))
        for room in ("export", "web")
        for file in (REPO / "ddpzero" / room / "static").rglob("*")
        if file.is_file()
    }
    templates = REPO / "ddpzero" / "serve" / "templates"
    expected |= {str(file.relative_to(REPO)) for file in templates.iterdir()}
    expected |= {
        f"ddpzero/{file.relative_to(REPO)}"
        for file in (REPO / "conf").rglob("*")
        if file.suffix == ".yaml" or file.name == "README.md"
    }
    assert {file for file in files if ".dist-info" not in file} == expected
    (entry_points,) = installed.glob("*.dist-info/entry_points.txt")
    assert "ddpzero = ddpzero.cli.commands:main" in entry_points.read_text()
    assert list(installed.glob("*.dist-info/licenses/LICENSE"))


def test_every_dependency_is_pinned_for_the_launch_scripts():
    pins = (REPO / "launch" / "constraints.txt").read_text()
    pinned = {normal(name) for name in re.findall(r"^([\w.-]+)==", pins, flags=re.MULTILINE)}
    wanted = [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
    names = {normal(re.split(r"[<>=!~\[ ]", name)[0]) for name in wanted}
    assert names - {"ddpzero"} <= pinned  # an extra may take over another one
    assert not re.search(r"==\S*\+", pins), "a GPU machine uses the same pins, not a local build"


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


SCRIPTS = [*sorted((REPO / "launch").glob("*.sh")), REPO / ".ci" / "run"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_launch_scripts_are_valid_shell(script):
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def test_a_python_that_is_too_old_is_named(tmp_path):
    """Before anything is made or downloaded."""
    old = tmp_path / "python3.8"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    clone = tmp_path / "a clone"
    (clone / "launch").mkdir(parents=True)
    (clone / "launch" / "setup.sh").write_text((REPO / "launch" / "setup.sh").read_text())
    active = ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV")
    environment = {key: value for key, value in os.environ.items() if key not in active}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"source '{clone}/launch/setup.sh' dev"],
        env=environment | {"PYTHON": str(old)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"PYTHON={old} is not a Python from 3.11 to 3.13." in done.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize(("name", "is_used"), [("mine", True), ("base", False)])
def test_an_active_conda_environment_is_installed_into_unless_it_is_the_base(
    name, is_used, tmp_path
):
    conda, clone = tmp_path / "conda", tmp_path / "clone"
    (conda / "bin").mkdir(parents=True)
    (conda / "bin" / "python").write_text('#!/bin/sh\necho "conda: $*" >&2\n')
    (conda / "bin" / "python").chmod(0o755)
    (clone / "launch").mkdir(parents=True)
    for file in ("launch/setup.sh", "launch/constraints.txt", "pyproject.toml"):
        (clone / file).write_text((REPO / file).read_text())
    done = subprocess.run(
        ["bash", "-c", f"source '{clone}/launch/setup.sh'"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHON": "/no/python",
            "CONDA_PREFIX": str(conda),
            "CONDA_DEFAULT_ENV": name,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("conda: -m pip install" in done.stderr) == is_used
    # README's commands draw pictures, and show the page.
    assert (f"-e {clone}[report,web]" in done.stderr) == is_used
    assert ("PYTHON=/no/python is not a Python" in done.stderr) != is_used
    assert not (clone / ".venv").exists()


def test_the_map_of_the_package_is_true():
    """Each file of the package is on the map, or its whole folder is; whatever is on the map is there."""
    listed = list(paths_on_the_map((REPO / "ddpzero" / "README.md").read_text()))
    assert len(listed) == len(set(listed)), "nothing stands on the map twice"
    missing = [path for path in listed if not (REPO / path).exists()]
    assert not missing, "on the map, but not there"
    files = [
        str(file.relative_to(REPO))
        for file in (REPO / "ddpzero").rglob("*.py")
        if file.name != "__init__.py"
    ]
    unknown = [file for file in files if file not in listed]
    assert not unknown, "there, but not on the map"


def paths_on_the_map(readme: str) -> Iterator[str]:
    """Paths in the code block under "## Map": folders end with a slash, what is in them is indented by two spaces."""
    block = re.search(r"^## Map\n.*?^```\n(.*?)^```", readme, flags=re.MULTILINE | re.DOTALL)
    assert block, "there is no code block under ## Map"
    folders: list[str] = []
    for line in block[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        # Two spaces end the names: what follows is the phrase about them.
        names = re.split(r" {2,}", line.strip())[0].split(", ")
        folders = folders[:depth]
        parent = "".join(folders)
        yield from (parent + name for name in names)
        if names[0].endswith("/"):
            folders.append(names[0])


def test_tests_that_are_left_out_exist():
    lines = (REPO / "tests" / "extended.txt").read_text().splitlines()
    names = [line.partition("::") for line in lines if not line.startswith("#")]
    assert len(names) > 10
    for file, _, test in names:
        assert f"def {test.partition('[')[0]}(" in (REPO / file).read_text()
