"""Checks environments."""
