"""Completion for the shell: put `source <(ddpzero completion bash)`, or zsh, in the shell's start file.

The scripts call this program for every word. It takes commands and options from the parser, settings from conf/, and
runs from the folder of all runs. If it returns no candidates, the shell offers files.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import yaml

from ddpzero.cli.overrides import READS_OWN
from ddpzero.run.finder import RUNS_DIR

# Bash splits words at = and : and replaces only the part after the last one.
_BASH = """\
_ddpzero() {
    local line="${COMP_LINE:0:COMP_POINT}"
    mapfile -t COMPREPLY < <(ddpzero completion bash --line "$line" 2>/dev/null)
    [[ "${COMPREPLY[0]-}" == *= ]] && compopt -o nospace
}
complete -o default -F _ddpzero ddpzero
"""
_ZSH = """\
#compdef ddpzero
_ddpzero() {
    local -a found begun
    found=(${(f)"$(ddpzero completion zsh --line "${(j: :)words[1,CURRENT]}" 2>/dev/null)"})
    begun=(${(M)found:#*=})
    found=(${found:#*=})
    (( $#begun )) && compadd -S '' -a begun
    (( $#found )) && compadd -a found
    (( $#begun + $#found )) || _files
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _ddpzero ddpzero
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH}

_PLAYERS = ("random", "rollout:1000")
_LEVEL = ":level"
_CONFIG_FILE = "config.yaml"
_PRESETS = ("experiment", "hardware")
# Groups under conf/ that belong to Hydra.
_FOREIGN = ("hydra",)


def run_completion(parser: argparse.ArgumentParser, shell: str, line: str | None) -> None:
    """Print the shell's script, or, given a line, the candidates for its last word. See candidates."""

    def conf() -> Path:
        from ddpzero.config.conf_folder import conf_dir

        return conf_dir()

    if line is None:
        print(SCRIPTS[shell], end="")
    else:
        # Not even an empty line if there are none: the shell would take it for a candidate.
        for candidate in candidates(parser, conf, shell, line):
            print(candidate)


def candidates(
    parser: argparse.ArgumentParser, conf: Callable[[], Path], shell: str, line: str
) -> list[str]:
    """Return the candidates for the last word of a line.

    conf: finds conf/; it takes half a second, so it is called only to complete settings.
    line: the command line up to the cursor, starting with the program's name.
    """
    *before, word = re.split(r"\s+", line.lstrip())
    option, equals, _ = word.partition("=")
    if equals and option.startswith("--"):
        # Complete "--game=he" like "--game he", and keep the option before the value.
        values = _possible(parser, conf, [*before[1:], option], has_settings=False)
        possible: Iterable[str] = (f"{option}={value}" for value in values)
    else:
        possible = _possible(parser, conf, before[1:], has_settings=word[:1] not in ("", "-"))
    found = sorted({text for text in possible if text.startswith(word)})
    found = [text for text in found if text.startswith("-") == word.startswith("-")]
    # Levels would hide the runs, unless one has been begun.
    found = [text for text in found if _LEVEL not in text or ":" in word]
    if shell == "bash":
        replaced = re.search(r".*[=:]", word)
        found = [text[len(replaced[0]) if replaced else 0 :] for text in found]
    return found


def _possible(
    parser: argparse.ArgumentParser,
    conf: Callable[[], Path],
    words: Sequence[str],
    has_settings: bool,
) -> Iterator[str]:
    """Yield all words that may follow `words`."""
    command = ""
    for word in words:
        commands = _commands(parser)
        if word in commands:
            parser, command = commands[word], f"{command} {word}".strip()
    if command == "train":
        yield from _settings(conf, None)
        return
    for action in parser._actions:
        if words and words[-1] in action.option_strings and action.nargs != 0:
            yield from _values(action, command, conf)
            return
    yield from _commands(parser)
    for action in parser._actions:
        if action.help != argparse.SUPPRESS:
            yield from action.option_strings
        if not action.option_strings and action.dest != "overrides":
            yield from _values(action, command, conf)
    reads = parser.get_default("reads")
    if has_settings and reads == READS_OWN:
        yield from _own_settings(command)
    elif has_settings and reads:
        yield from _settings(conf, reads)


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _values(action: argparse.Action, command: str, conf: Callable[[], Path]) -> Iterable[str]:
    """Return the possible values of an argument; none if it is a number or a path."""
    if isinstance(action, argparse._SubParsersAction):
        return ()
    if action.choices is not None:
        return map(str, action.choices)
    if action.dest == "game":
        return _options(conf, "game")
    if action.dest == "run_dir":
        return _runs()
    if action.dest.startswith("player") or action.dest == "opponent":
        return (*_runs(), *_leveled_runs(), *_PLAYERS)
    if action.dest == "file":
        from ddpzero.judges import packaged

        return packaged.names(command)
    return ()


def _runs() -> list[str]:
    return [folder.name for folder in RUNS_DIR.glob("[!.]*") if folder.is_dir()]


def _leveled_runs() -> list[str]:
    return [f"{run}{_LEVEL}{number}" for run in _runs() for number in range(1, 10)]


def _settings(conf: Callable[[], Path], reads: Sequence[str] | None) -> Iterator[str]:
    """Yield `group=option`, `+preset=option` and `key=`. reads: the settings that the command reads; None for all."""

    def is_read(key: str) -> bool:
        top = key.partition(".")[0]
        return reads is None or top in reads or key in reads

    for preset in filter(is_read, _PRESETS):
        yield from (f"+{preset}={option}" for option in _options(conf, preset))
    groups = [path.name for path in conf().iterdir() if path.is_dir()]
    for group in groups:
        if group not in (*_PRESETS, *_FOREIGN) and is_read(group):
            yield from (f"{group}={option}" for option in _options(conf, group))
            for file in (conf() / group).rglob("*.yaml"):
                yield from (f"{group}.{key}=" for key in _keys(file))
    yield from (f"{key}=" for key in _keys(conf() / _CONFIG_FILE) if is_read(key))


def _own_settings(command: str) -> Iterator[str]:
    """Yield `key=` for the settings of serve or contribute, which are not in conf/."""
    from ddpzero.contribute.settings import ContributeSettings
    from ddpzero.serve.settings import ServeSettings

    of_command: dict[str, tuple[type, str]] = {
        "serve": (ServeSettings, "serve."),
        "contribute": (ContributeSettings, ""),
    }
    settings, prefix = of_command[command]
    yield from (f"{prefix}{field.name}=" for field in fields(settings))


def _options(conf: Callable[[], Path], group: str) -> list[str]:
    """Return the options of a group. One in a subfolder is named ddpg/mlp; files that begin with _ are no options."""
    folder = conf() / group
    files = (file.relative_to(folder) for file in folder.rglob("*.yaml"))
    return [file.with_suffix("").as_posix() for file in files if file.name[0] != "_"]


def _keys(file: Path) -> Iterator[str]:
    """Yield the keys of a YAML file, dotted inside nested groups."""
    for key, value in (yaml.safe_load(file.read_text()) or {}).items():
        if key in ("defaults", "hydra", "plugin", "name"):
            continue
        if isinstance(value, dict):
            yield from (f"{key}.{inner}" for inner in value)
        else:
            yield str(key)
