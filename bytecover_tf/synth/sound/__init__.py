"""Sound rendered of a performance, and effects on sound."""
