"""Experiments, one a file; the file's docstring gives its command and cost."""
