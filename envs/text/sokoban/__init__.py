"""Sokoban: rooms that are solved completely, a generator, and the environment."""
