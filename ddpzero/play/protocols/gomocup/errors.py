"""CommandError, for commands that are answered with ERROR."""


class CommandError(ValueError):
    """Its text is the answer: what is wrong, in one line."""
