"""Mathematical tasks, generated without end."""
