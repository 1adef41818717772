"""Features and notes on disk, and their extraction from many files."""
