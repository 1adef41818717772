"""Performances made from scores."""
