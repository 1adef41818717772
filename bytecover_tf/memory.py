"""How this process keeps memory that it no longer uses."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from typing import Any

# From glibc's malloc.h.
_M_MMAP_THRESHOLD = -3
# Bytes of what is a large block: smaller ones come and go too often.
_LARGE = 2**20


def return_large_blocks() -> None:
    """Have the C library return a large block to the system once it is freed.

    Once a block of up to 32 MiB has been freed, glibc takes the next ones of that size
    from its heap. Arrays that grow with a recording then leave holes there. Other C
    libraries are left alone, and who sets malloc's environment variable has the say.
    """
    if sys.platform != "linux" or "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return
    with suppress(AttributeError):  # a C library without it
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)


def returning_run() -> Any:
    """Return options for a run of ONNX Runtime that frees what it took at its end.

    Otherwise a session keeps the most that any run has needed.
    """
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options
