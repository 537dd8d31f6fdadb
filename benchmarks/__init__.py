"""What kdsearch costs, side by side with what it stands in for: `python -m benchmarks`."""
