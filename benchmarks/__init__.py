"""Measurements; each module writes its own section of `results/`."""

# Before any of them imports Keras: TensorFlow then runs as it does in the commands.
import bytecover_tf  # noqa: F401
