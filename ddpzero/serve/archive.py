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


def problem_of_archive(content: bytes, max_unpacked_bytes: int) -> str:
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
    return ""
