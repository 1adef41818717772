"""Measurements; each module rewrites its own section of `results.md`."""

# Before any of them imports Keras: TensorFlow then runs as it does in the commands.
import bytecover_tf  # noqa: F401
