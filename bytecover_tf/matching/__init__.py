"""Comparing recordings: alignment, probability, identification and grouping."""
