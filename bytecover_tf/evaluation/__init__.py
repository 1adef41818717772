"""Measuring an encoder by the protocol of a data set."""
