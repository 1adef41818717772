"""Cover versions synthesised from scores: arranging, rendering, recording."""
