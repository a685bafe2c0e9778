"""Whether an uploaded .npz may be opened at all: decided from its directory, before anything is unpacked."""

from __future__ import annotations

import io
import struct
import zipfile

_END = b"PK\x05\x06"
_END_SIZE = 22
_LOCATOR_OF_ZIP64 = b"PK\x06\x07"
_MAX_COMMENT = 65535
# A file of episodes has some twenty arrays.
_MAX_DIRECTORY_BYTES = 1 << 16
_MAX_MEMBERS = 256
_MAX_DESCRIPTION_BYTES = 1 << 20
# Of the arrays with one entry for each game, per game, and of an array's header.
_MAX_INFO_BYTES = 4096
_MAX_COUNT_BYTES = 16
_HEADER_BYTES = 4096


def problem_of_archive(content: bytes, max_unpacked_bytes: int, max_games: int) -> str:
    """Return why an upload is refused unread, as a clause; "" if it may be read."""
    end = content.rfind(_END, max(0, len(content) - _END_SIZE - _MAX_COMMENT))
    if end < 0 or len(content) - end < _END_SIZE:
        return "it is no .npz file"
    # Python's reader takes the record at the very end if there is one, without looking for others.
    ends = {end, len(content) - _END_SIZE} if content[-_END_SIZE:][:4] == _END else {end}
    for start in ends:
        if len(content) - start < _END_SIZE:
            return "its directory is damaged"
        (directory_bytes,) = struct.unpack("<L", content[start + 12 : start + 16])
        if directory_bytes > _MAX_DIRECTORY_BYTES:
            return "it contains too many arrays"
        if content[max(0, start - 20) : start][:4] == _LOCATOR_OF_ZIP64:
            return "its directory is in a format for files of more than 4 GiB"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
    # zipfile raises almost anything for a forged directory.
    except Exception:
        return "its directory is damaged"
    if len(members) > _MAX_MEMBERS:
        return "it contains too many arrays"
    if any(member.file_size < 0 or member.compress_size < 0 for member in members):
        return "its directory is damaged"
    total = sum(member.file_size for member in members)
    if total > max_unpacked_bytes:
        return (
            f"it contains {total / 2**20:.1f} MiB, and {max_unpacked_bytes / 2**20:.1f} are allowed"
        )
    # A list in text takes 28 times its bytes when it is parsed.
    limits = {
        "description": _MAX_DESCRIPTION_BYTES,
        "episode.info": max_games * _MAX_INFO_BYTES,
        **{
            f"episode.{n}": max_games * _MAX_COUNT_BYTES
            for n in ("num_samples", "num_moves", "model")
        },
    }
    for member in members:
        limit = limits.get(member.filename.removesuffix(".npy"))
        if limit is not None and member.file_size > limit + _HEADER_BYTES:
            return f"its {member.filename.removesuffix('.npy')} is too large for {max_games} games"
    return ""
