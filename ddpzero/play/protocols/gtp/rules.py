"""The rules of Go by the names that KataGo and KGS have for them.

Our rules count area and all stones as alive. What can be chosen is the ko rule, suicide, and how many points white gets
for handicap stones; territory, a tax, a button and dead stones that are removed by agreement are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ddpzero.play.protocols.gtp.lines import Refused, syntax_error
from ddpzero.system.json_text import json_text

_BONUS: Mapping[str, Callable[[int], int]] = {
    "0": lambda stones: 0,
    "N": lambda stones: stones,
    "N-1": lambda stones: max(0, stones - 1),
}
_KO_RULES = ("SIMPLE", "POSITIONAL", "SITUATIONAL")
# What cannot be chosen, and its only value.
_FIXED: Mapping[str, Any] = {
    "scoring": "AREA",
    "tax": "NONE",
    "hasButton": False,
    "friendlyPassOk": False,
}


@dataclass(frozen=True)
class GoRules:
    """ko: simple, positional or situational. white_handicap_bonus: "0", "N" or "N-1" points for N handicap stones."""

    ko: str = "positional"
    suicide: bool = False
    white_handicap_bonus: str = "0"

    def bonus(self, num_stones: int) -> int:
        """Return white's points for so many handicap stones."""
        return _BONUS[self.white_handicap_bonus](num_stones)

    def as_json(self) -> str:
        """Return what kata-get-rules answers."""
        return json_text(
            {
                **_FIXED,
                "ko": self.ko.upper(),
                "suicide": self.suicide,
                "whiteHandicapBonus": self.white_handicap_bonus,
            }
        )


_PRESETS: Mapping[str, GoRules] = {
    "tromp-taylor": GoRules("positional", True, "0"),
    "chinese": GoRules("simple", False, "N"),
    "chinese-ogs": GoRules("positional", False, "N"),
    "chinese-kgs": GoRules("positional", False, "N"),
    "aga": GoRules("situational", False, "N-1"),
    "bga": GoRules("situational", False, "N-1"),
    "new-zealand": GoRules("situational", True, "0"),
}
# Of kgs-rules.
_KGS_NAMES = {"chinese": "chinese-kgs", "aga": "aga", "new_zealand": "new-zealand"}
_UNKNOWN = "unknown rules, or rules that are not played here: only area scoring is"


def kgs_rules(name: str) -> GoRules:
    """Return the rules of kgs-rules. Raises Refused."""
    if name not in _KGS_NAMES:
        raise Refused(f"{_UNKNOWN}. Known: {', '.join(_KGS_NAMES)}")
    return _PRESETS[_KGS_NAMES[name]]


def kata_rules(text: str, now: GoRules) -> GoRules:
    """Return the rules of kata-set-rules, a name or JSON. now: for the fields that JSON leaves out. Raises Refused."""
    name = text.strip().lower().replace("_", "-")
    if not name.startswith("{"):
        if name not in _PRESETS:
            raise Refused(f"{_UNKNOWN}. Known: {', '.join(_PRESETS)}")
        return _PRESETS[name]
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise syntax_error("kata-set-rules takes a name or JSON") from None
    for key, value in fields.items():
        now = with_field(now, key, value)
    return now


def with_field(rules: GoRules, key: str, value: object) -> GoRules:
    """Return rules with another value of one field, in JSON or as a word. Raises Refused."""
    text = str(value).strip()
    if key in _FIXED:
        if text.upper() != str(_FIXED[key]).upper():
            raise Refused(f"{key} is always {str(_FIXED[key]).lower()} here")
        return rules
    if key == "ko" and text.upper() in _KO_RULES:
        return replace(rules, ko=text.lower())
    if key == "suicide" and text.lower() in ("true", "false"):
        return replace(rules, suicide=text.lower() == "true")
    if key == "whiteHandicapBonus" and text.upper() in _BONUS:
        return replace(rules, white_handicap_bonus=text.upper())
    if key in ("ko", "suicide", "whiteHandicapBonus"):
        raise Refused(f"{text[:80]} is no value of {key}")
    raise Refused(f"{key[:80]} is no rule that is known here")
