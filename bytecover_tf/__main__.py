"""The `bytecover` command: a name for each of the package's command lines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from bytecover_tf import __version__
from bytecover_tf.cli import OK, run_safely

COMMANDS = {
    "features": "extract the features of a data set into a feature store",
    "label": "label recordings with the notes that a teacher hears in them",
    "train": "train an encoder and measure it on unseen works",
    "whiten": "add a last linear map to a trained encoder",
    "ensemble": "join encoders into one that finds more",
    "evaluate": "measure an encoder on a data set by its protocol",
    "index": "put a music library into a catalogue",
    "identify": "tell which works of a catalogue a recording is a version of",
    "monitor": "follow a stream and tell when the song changes",
    "compare": "tell whether two recordings are versions, and where they match",
    "serve": "answer requests for a catalogue over HTTP, with a page",
    "group": "find the groups of versions inside a catalogue",
    "review": "decide what is unsure about the works in a catalogue",
    "tag": "write works and versions into the tags of files",
    "catalogue": "list, verify or change a catalogue",
    "train_hearing": "train the network that hears notes",
    "calibrate": "fit the probabilities to an encoder and labelled recordings",
}

CONTINUING = ("features", "group", "label", "index", "tag", "train_hearing")
"""Commands that go on where they stopped when they are run again."""

USAGE = (
    "usage: bytecover [--help] [--version] COMMAND ...\n\n"
    "Cover song identification with ByteCover in Keras and TensorFlow.\n\n"
    "commands:\n"
    + "".join(f"  {name:13} {purpose}\n" for name, purpose in COMMANDS.items())
    + "\nbytecover COMMAND --help tells more. "
    "Each is also python -m bytecover_tf.COMMAND."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the subcommand that the first argument names; return its exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return OK
    if arguments[0] == "--version":
        print(f"bytecover {__version__}")
        return OK
    if arguments[0] not in COMMANDS:
        print(f"{USAGE}\n\nerror: no command {arguments[0]!r}", file=sys.stderr)
        return 2
    name, *rest = arguments
    module = import_module(f"bytecover_tf.{name}")
    return run_safely(module.main, rest, continues=name in CONTINUING)


if __name__ == "__main__":
    sys.exit(main())
