"""onnxruntime-web for a page: found beside, or downloaded once, and never used with another checksum."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from ddpzero.export import onnxruntime_web
from ddpzero.export.onnxruntime_web import RUNTIME_FILES, VERSION, cache_folder, runtime_files
from ddpzero.system.errors import UserError

CONTENT = {name: f"content of {name}".encode() for name in RUNTIME_FILES}


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No node_modules/, nothing kept from an earlier download, no way to npm's registry."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")


def installed(folder: Path) -> Path:
    (folder / "dist").mkdir(parents=True)
    for name, content in CONTENT.items():
        (folder / "dist" / name).write_bytes(content)
    return folder


def package() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in CONTENT.items():
            entry = tarfile.TarInfo(f"package/dist/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def checksum(content: bytes) -> str:
    return base64.b64encode(hashlib.sha512(content).digest()).decode()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch):
    """A registry that has `package()`; yields the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(package_sent)

        def log_message(self, *words: object) -> None:
            pass

    package_sent = package()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setattr(onnxruntime_web, "_SHA512", checksum(package_sent))
        yield asked
        server.shutdown()


def test_the_package_is_taken_from_a_folder_or_its_dist(tmp_path: Path):
    folder = installed(tmp_path / "npm")
    assert runtime_files(folder) == runtime_files(folder / "dist") == CONTENT


def test_the_package_in_node_modules_is_found(tmp_path: Path):
    installed(tmp_path / "node_modules" / "onnxruntime-web")
    assert runtime_files(None) == CONTENT


def test_a_folder_without_the_package_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match=f"npm install onnxruntime-web@{VERSION}"):
        runtime_files(tmp_path)


def test_it_is_downloaded_once(registry: list[str]):
    assert runtime_files(None) == CONTENT
    assert runtime_files(None) == CONTENT
    assert registry == [f"/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"]


def test_another_package_than_the_published_one_is_not_used(registry, monkeypatch):
    monkeypatch.setattr(onnxruntime_web, "_SHA512", checksum(b"another one"))
    with pytest.raises(UserError, match="has another checksum than it was published with"):
        runtime_files(None)
    assert not cache_folder().exists()


def test_without_a_network_a_sentence_says_what_to_do():
    with pytest.raises(UserError, match=r"cannot be downloaded .*--onnxruntime-web"):
        runtime_files(None)
