"""Games played in text."""
