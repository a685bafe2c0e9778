"""Names that other programs and files give to the rules of Go, and komi as they write it."""

from __future__ import annotations

import re

# Of a file that does not say the board's size.
SGF_SIZE = 19
# The ko rule, and whether a move may capture its own group; as KataGo understands the names. All score by area here.
_RULES = {
    "tromp-taylor": ("positional", True),
    "chinese": ("simple", False),
    "chinese-ogs": ("positional", False),
    "chinese-kgs": ("positional", False),
    "japanese": ("simple", False),
    "korean": ("simple", False),
    "aga": ("situational", False),
    "bga": ("situational", False),
    "french": ("situational", False),
    "new-zealand": ("situational", True),
    "goe": ("situational", True),
}
_SHORT = {"tt": "tromp-taylor", "nz": "new-zealand", "newzealand": "new-zealand", "ing": "goe"}
_WRITTEN = {
    ("positional", True): "Tromp-Taylor",
    ("situational", True): "New Zealand",
    ("situational", False): "AGA",
}
# KataGo's way to write rules in SGF: koPOSITIONALscoreAREAtaxNONEsui0.
_KATAGO = re.compile(r"ko(simple|positional|situational)score[a-z]+tax[a-z]+sui([01]).*", re.DOTALL)


def rules_of_name(name: str) -> tuple[str, bool] | None:
    """Return the ko rule and whether suicide is legal; None for a name that is not known."""
    cleaned = re.sub(r"[\s_]+", "-", name.strip().lower()).removesuffix("-rules")
    if found := _KATAGO.fullmatch(cleaned):
        return found[1], found[2] == "1"
    return _RULES.get(_SHORT.get(cleaned, cleaned))


def name_of_rules(ko: str, suicide: bool) -> str:
    """Return the rules as SGF files have them; rules_of_name reads it."""
    katago = f"ko{ko.upper()}scoreAREAtaxNONEsui{int(suicide)}"
    return _WRITTEN.get((ko, suicide), katago)


def parse_komi(text: str) -> float:
    """Return komi. Raises ValueError for a text that is no number."""
    if not re.fullmatch(r"[-+]?\d{0,4}([.,]\d{0,4})?", text) or not re.search(r"\d", text):
        raise ValueError(f"KM[{text[:20]}] is no komi: a number such as 7.5.")
    return float(text.replace(",", "."))
