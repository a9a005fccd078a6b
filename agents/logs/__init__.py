"""Progress, metrics and curves."""
