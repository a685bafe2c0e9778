"""What the manager says with INFO: times, memory, rules. It is never answered; what cannot be done is told later."""

from __future__ import annotations

from dataclasses import dataclass, field

from ddpzero.play.clock import TimeControl

# time_left of a match without a limit.
UNLIMITED_MS = 2147483647
# Of a turn for which the manager allows none: "as fast as possible".
_FASTEST_SECONDS = 0.06
_EXACTLY_FIVE = 1
_KEYS = ("timeout_turn", "timeout_match", "time_left", "max_memory", "rule")
_TIMES = ("timeout_turn", "timeout_match", "time_left")


@dataclass
class Info:
    """values: of _KEYS that the manager has sent. problems: sentences about some of them, by key."""

    values: dict[str, int] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def take(self, text: str) -> None:
        """Remember "timeout_turn 300". Unknown keys, and those without a meaning here, are ignored."""
        key, _, value = text.strip().partition(" ")
        key = key.lower()
        if key not in _KEYS:
            return
        self.problems.pop(key, None)
        try:
            number = int(value)
        except ValueError:
            self.problems[key] = f"INFO {key} {value.strip()[:80]}: not a whole number"
            return
        if key == "rule" and number not in (0, _EXACTLY_FIVE):
            self.problems[key] = (
                f"INFO rule {number} is not supported: 0 (five or more) and 1 (exactly five) are"
            )
        elif key != "time_left" and number < 0:
            self.problems[key] = f"INFO {key} {number} is negative"
        elif key in _TIMES:
            self.values[key] = max(-UNLIMITED_MS, min(number, UNLIMITED_MS))
        else:
            self.values[key] = number

    @property
    def problem(self) -> str | None:
        """What the manager wants and this program cannot do; None if there is nothing."""
        return next(iter(self.problems.values()), None)

    @property
    def is_exactly_five(self) -> bool:
        return self.values.get("rule", 0) == _EXACTLY_FIVE

    @property
    def memory_bytes(self) -> int | None:
        """The most memory of this process; None without a limit."""
        return self.values.get("max_memory") or None

    def begin_match(self) -> None:
        """A new game begins, with all of its time."""
        self.values.pop("time_left", None)

    def use(self, seconds: float) -> None:
        """A move took so long; the manager may say more exactly what is left before the next one."""
        left = self._left_ms()
        if left is not None:
            self.values["time_left"] = left - round(1000 * seconds)

    def time_control(self, own: TimeControl) -> tuple[TimeControl, float | None]:
        """Return the limits of the next move, and what is left of the match in seconds, None if it has no limit.

        own: what the options of the program allow in any case.
        """
        turn, left = self.values.get("timeout_turn"), self._left_ms()
        limits = [own.move_seconds]
        if turn is not None:
            limits.append(max(turn / 1000, _FASTEST_SECONDS))
        seconds = min((limit for limit in limits if limit is not None), default=None)
        if left is None:
            return TimeControl(move_seconds=seconds), None
        return TimeControl(move_seconds=seconds, game_seconds=max(0.0, left / 1000)), left / 1000

    def _left_ms(self) -> int | None:
        left = self.values.get("time_left")
        if left is None:
            left = self.values.get("timeout_match") or UNLIMITED_MS
        return None if left >= UNLIMITED_MS else left
