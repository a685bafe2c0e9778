"""The files of onnxruntime-web that a static page needs: from a folder, from node_modules/, or downloaded once.

They are 14 MB, too large for this package. A download comes from npm's registry, in the version below, and is used only
if its checksum is right. Called by static_page.py.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from ddpzero.system.errors import UserError, require
from ddpzero.system.whole_files import replace_whole

VERSION = "1.30.0"
# In dist/ of the package: the JavaScript with what starts the WebAssembly, and the WebAssembly for CPUs with SIMD.
RUNTIME_FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
# The package itself has no file of its license.
LICENSE_TEXT = """\
onnxruntime-web, https://github.com/microsoft/onnxruntime

MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""
_SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
_TARBALL = f"onnxruntime-web-{VERSION}.tgz"
_REGISTRY = "https://registry.npmjs.org"
_MOST_BYTES = 100_000_000
_TIMEOUT_SECONDS = 60.0


def runtime_files(folder: Path | None) -> dict[str, bytes]:
    """Return name -> content of the files. folder: the npm package, or its dist/; None to look for it, or download it.

    Raises UserError if they are nowhere.
    """
    if folder is not None:
        found = _in_folder(folder)
        require(
            found is not None,
            f"--onnxruntime-web {folder} lacks {' or '.join(RUNTIME_FILES)}: give the folder of the npm package "
            f"onnxruntime-web, version {VERSION}, as `npm install onnxruntime-web@{VERSION}` makes it.",
        )
        assert found is not None
        return found
    for candidate in (Path("node_modules") / "onnxruntime-web", cache_folder()):
        if found := _in_folder(candidate):
            return found
    return _downloaded()


def cache_folder() -> Path:
    """Return where a download is kept for the next page."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ddpzero" / f"onnxruntime-web-{VERSION}"


def _in_folder(folder: Path) -> dict[str, bytes] | None:
    for place in (folder, folder / "dist"):
        if all((place / name).is_file() for name in RUNTIME_FILES):
            return {name: (place / name).read_bytes() for name in RUNTIME_FILES}
    return None


def _downloaded() -> dict[str, bytes]:
    # npm reads the same variable: networks without a way to the registry often have a mirror.
    registry = os.environ.get("npm_config_registry", _REGISTRY).rstrip("/")  # noqa: SIM112
    url = f"{registry}/onnxruntime-web/-/{_TARBALL}"
    print(f"downloading {url} (33 MB, once)", flush=True)
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
            package = response.read(_MOST_BYTES)
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise UserError(
            f"--static needs onnxruntime-web {VERSION}, and {url} cannot be downloaded ({reason}): give the folder of "
            f"the npm package with --onnxruntime-web, or run `npm install onnxruntime-web@{VERSION}` here."
        ) from None
    files = files_of_package(package, _SHA512)
    # A cache that cannot be written costs a download next time, and nothing else.
    with suppress(OSError):
        cache_folder().mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            replace_whole(cache_folder() / name, content)
    return files


def files_of_package(package: bytes, sha512: str) -> dict[str, bytes]:
    """Return the files of an npm package. sha512: base64, as npm publishes it. Raises UserError for another package."""
    digest = base64.b64encode(hashlib.sha512(package).digest()).decode()
    require(
        digest == sha512,
        f"the download of onnxruntime-web {VERSION} has another checksum than it was published with: it was not used. "
        "Try again, or give the folder of the npm package with --onnxruntime-web.",
    )
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        files = {}
        for name in RUNTIME_FILES:
            file = archive.extractfile(f"package/dist/{name}")
            assert file is not None
            files[name] = file.read()
    return files
