"""Time and memory, beside the usual tools."""
