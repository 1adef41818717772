"""What the benchmarks share: data, processes, reference models and the report."""
