"""The exit status of a command, and errors that end it."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper

from bytecover_tf.cli.quiet import load_tensorflow_quietly
from bytecover_tf.errors import ByteCoverError
from bytecover_tf.terminal import open_streams, warn

OK, SOME_FAILED, NOTHING_DONE = 0, 1, 2


def status_of(failed: int, done: int) -> int:
    """Return the exit status of a batch.

    Args:
        failed: how many inputs failed.
        done: how many did not.
    """
    if not failed:
        return OK
    return SOME_FAILED if done else NOTHING_DONE


def run(main: Callable[[Sequence[str] | None], int], continues: bool = False) -> None:
    """Run a command and end the process with its exit status.

    0 is all done, 1 some inputs failed, 2 nothing done or wrong usage. An error
    raised on purpose is one line on standard error, not a traceback.

    Args:
        main: the command.
        continues: whether it goes on where it was interrupted if it is run again.
    """
    sys.exit(run_safely(main, None, continues))


def run_safely(
    main: Callable[[Sequence[str] | None], int],
    arguments: Sequence[str] | None,
    continues: bool = False,
) -> int:
    """Return a command's exit status, printing errors raised on purpose."""
    # A process that ends looks through all objects for garbage, which takes up to a
    # second after the imports of `identify`. It passes over those that are frozen.
    atexit.register(gc.freeze)
    open_streams()
    load_tensorflow_quietly()
    if isinstance(sys.stdout, TextIOWrapper):
        # As on standard error: a name in no valid encoding must not end a command.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = main(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever reads has seen enough, as `head` has; the rest goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME_FAILED
    except ByteCoverError as error:
        warn(f"error: {error}")
    except KeyboardInterrupt:
        advice = "; run the same command again to continue" if continues else ""
        warn(f"interrupted{advice}")
    except OSError as error:
        # A full disk or a folder without permission: the system's own words.
        warn(f"error: {error}")
    return NOTHING_DONE
