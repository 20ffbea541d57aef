"""Memory that is freed is given back: a server of many threads has to ask the C library for that."""

import ctypes

#: Parameters of glibc's mallopt, by malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
#: Heaps that threads share; glibc's default is eight per core, in each of which gaps grow with the load.
_ARENAS = 2
#: Bytes: what is as large gets pages of its own, and a heap's end of that size is given back. A value that is
#: set also keeps glibc from raising it to the size of the largest picture that was ever freed.
_LARGE, _END = 128 * 1024, 256 * 1024


def give_back() -> None:
    """Bounds what freed memory the process holds. Call it before threads are started.

    A C library that is not glibc has no such parameters, or other defaults: there nothing is changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, _ARENAS)
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _END)
