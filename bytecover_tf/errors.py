"""What this package raises when its input is at fault.

Every message names the file or argument and says what was expected, so that
a command can print it as it stands.
"""


class ByteCoverError(Exception):
    """Root of all errors raised on purpose by this package."""


class AudioError(ByteCoverError):
    """A recording cannot be decoded, or holds nothing that can be embedded."""


class DataError(ByteCoverError):
    """A data set's list, manifest or folder is malformed or leaks between splits."""


class StoreError(ByteCoverError):
    """A feature store is damaged, busy, or lacks a recording."""


class FrontendMismatch(ByteCoverError):
    """Features were made with other parameters than the ones expected."""


class ConfigError(ByteCoverError):
    """An experiment's configuration has an unknown key or an impossible value."""


class DivergedError(ConfigError):
    """With these settings the loss of a training is no longer a number."""


class EncoderError(ByteCoverError):
    """A trained encoder cannot be read."""


class WorkerError(ByteCoverError):
    """Processes that should share the work cannot be started, or were killed."""


class ClusterError(ByteCoverError):
    """A cluster cannot be reached or has lost a host, or Ray is not installed."""


class CatalogueError(ByteCoverError):
    """A catalogue cannot be reached, is damaged, or was made with something else."""


def explain(error: Exception, name: object) -> str:
    """Return why an input failed, for a batch that goes on without it.

    Args:
        error: an error of this package names the input itself; of any other, a
            decoder's for example, kind and text follow the name.
        name: name of the input.
    """
    if isinstance(error, ByteCoverError):
        return str(error)
    return f"{name}: {type(error).__name__}: {error}"
