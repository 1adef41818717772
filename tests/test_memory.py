import platform
import subprocess
import sys

import pytest

# Frees a large block, after which glibc would take the like from its heap, then every
# other one of forty, and prints how many bytes malloc has free in its heap.
PROBE = """
import ctypes, sys
from bytecover_tf.memory import return_large_blocks

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "abcdefghij"]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
if "call" in sys.argv:
    return_large_blocks()
libc.free(libc.malloc(30 * 2**20))
blocks = [libc.malloc(2 * 2**20) for _ in range(40)]
for block in blocks[::2]:
    libc.free(block)
print(libc.mallinfo2().i)
"""


LIBRARY, VERSION = platform.libc_ver()
# `mallinfo2` came with glibc 2.33.
TELLS = LIBRARY == "glibc" and [*map(int, VERSION.split("."))] >= [2, 33]


def bytes_kept(script, *arguments):
    command = [sys.executable, "-c", script, *arguments]
    return int(subprocess.run(command, check=True, capture_output=True).stdout)


@pytest.mark.skipif(not TELLS, reason="of glibc 2.33 and later")
def test_large_blocks_do_not_stay_in_the_heap():
    assert bytes_kept(PROBE) > 30 * 2**20
    assert bytes_kept(PROBE, "call") < 10 * 2**20


RUN = """
import sys
import numpy as np
import onnxruntime
from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.memory import return_large_blocks, returning_run

def used():
    with open("/proc/self/status") as status:
        (line,) = [line for line in status if line.startswith("RssAnon")]
    return int(line.split()[1])

return_large_blocks()
session = onnxruntime.InferenceSession(DEFAULT_HEARING.path)
options = returning_run() if "call" in sys.argv else None
magnitudes = np.ones((1, 252, 1024), np.float32)
before = used()
session.run(None, {"magnitudes": magnitudes}, options)
print(1024 * (used() - before))
"""


@pytest.mark.skipif(LIBRARY != "glibc", reason="of glibc")
def test_a_network_keeps_nothing_of_a_run():
    assert bytes_kept(RUN, "call") < bytes_kept(RUN) - 15 * 2**20
