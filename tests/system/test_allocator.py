"""A process keeps the memory that it frees, where the C library can do that."""

import ctypes
import resource
import subprocess
import sys
from types import SimpleNamespace

import pytest

from ddpzero.system import allocator
from tests.places import REPO

_ALLOCATE = """
import ctypes, resource
from ddpzero.system.allocator import keep_freed_memory
keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]

def use(size):
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)

use(64 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    use(16 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="mallopt is glibc's")
def test_freed_blocks_are_used_again_without_page_faults():
    faults = subprocess.run(
        [sys.executable, "-c", _ALLOCATE], capture_output=True, text=True, check=True, cwd=REPO
    )
    # The system would clear 16 MiB, 4,096 pages, ten times.
    assert int(faults.stdout) < 5 * (16 << 20) // resource.getpagesize()


_RELEASE = """
import ctypes, psutil
from ddpzero.system.allocator import keep_freed_memory, release_freed_memory
keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
block = libc.malloc(64 << 20)
ctypes.memset(block, 1, 64 << 20)
libc.free(block)
before = psutil.Process().memory_info().rss
release_freed_memory()
print(before - psutil.Process().memory_info().rss)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="it is glibc's")
def test_kept_memory_is_given_back_when_asked():
    released = subprocess.run(
        [sys.executable, "-c", _RELEASE], capture_output=True, text=True, check=True, cwd=REPO
    )
    assert int(released.stdout) > 60 << 20


def test_another_c_library_is_left_alone(monkeypatch):
    asked = []

    class WithoutMallopt:
        def __getattr__(self, name):
            asked.append(name)
            raise AttributeError(name)

    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: WithoutMallopt())
    allocator.keep_freed_memory()
    allocator.release_freed_memory()
    assert asked == ["mallopt", "malloc_trim"]


def test_an_older_glibc_that_refuses_large_blocks_keeps_smaller_ones(monkeypatch):
    taken = {}

    def mallopt(parameter, value):
        if parameter == allocator._M_MMAP_THRESHOLD and value > 32 << 20:
            return 0
        taken[parameter] = value
        return 1

    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    allocator.keep_freed_memory()
    assert taken == {
        allocator._M_MMAP_THRESHOLD: 32 << 20,
        allocator._M_TRIM_THRESHOLD: allocator._NEVER,
    }


def test_a_c_library_that_refuses_is_left_as_it_is(monkeypatch):
    taken = {}

    def mallopt(parameter, value):
        if parameter == allocator._M_MMAP_THRESHOLD:
            return 0
        taken[parameter] = value
        return 1

    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    allocator.keep_freed_memory()
    assert taken == {}
