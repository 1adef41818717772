"""Measurements; each module rewrites its own section of `results.md`."""
