"""Vector stores that a catalogue could use, compared."""
