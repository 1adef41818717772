"""Performances that are made of scores."""
