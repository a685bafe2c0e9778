"""Finished and broken-off games as files: SGF where the game has such a format, else lists of moves.

Used by everything that saves, exports or opens games: play, its protocols and pages, reviews, `ddpzero games`.
"""

from ddpzero.records.files import file_endings, read_record, write_record
from ddpzero.records.record import GameRecord, margin_at_end, result_at_end, said_of_result
from ddpzero.records.sgf import record_of_sgf, sgf_of_record

__all__ = [
    "GameRecord",
    "file_endings",
    "margin_at_end",
    "read_record",
    "record_of_sgf",
    "result_at_end",
    "said_of_result",
    "sgf_of_record",
    "write_record",
]
