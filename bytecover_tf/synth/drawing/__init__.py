"""Features drawn of a performance, without any sound."""
