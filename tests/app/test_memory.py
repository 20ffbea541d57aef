"""Memory that the app's threads free goes back: few heaps, and no large one kept for the next picture."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

#: Eight threads each take 18 MB and free it; then glibc tells of its heaps.
HEAPS = """
import ctypes, sys, threading
from app import memory
if sys.argv[1] == "given back":
    memory.give_back()
del bytearray(24 << 20)[:]  # by default glibc takes the size of what was freed as what is not large
met = threading.Barrier(8)
def take():
    own = [bytearray(100_000) for _ in range(100)] + [bytearray(8 << 20)]
    met.wait()
threads = [threading.Thread(target=take) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
assert libc.malloc_info(0, file) == 0
libc.fclose(file)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc alone")
def test_threads_share_two_heaps_and_keep_little_of_what_they_free(tmp_path: Path) -> None:
    heaps, held = {}, {}
    for way in ("given back", "as it comes"):
        file = tmp_path / "heaps.xml"
        subprocess.run([sys.executable, "-c", HEAPS, way, str(file)], cwd=ROOT, check=True)
        told = file.read_text()
        heaps[way] = told.count("<heap nr=")
        held[way] = int(re.findall(r'<system type="current" size="(\d+)"', told)[-1])  # the last is of all
    assert heaps["given back"] <= 2 < heaps["as it comes"], heaps
    assert 2 * held["given back"] < held["as it comes"], held
