"""Training of an encoder."""
