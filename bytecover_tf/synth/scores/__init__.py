"""Scores, their harmony, and the collections that they are read from."""
