"""What is found in recordings: embeddings, alignment, calibration, hearing."""
