"""How many processor cores there are for this process."""


def usable_cores() -> int:
    """Return how many processor cores this process may use.

    The affinity of the process counts, and the limit of a container.
    """
    import joblib  # late: it takes longer to import than a command's help

    return joblib.cpu_count()
