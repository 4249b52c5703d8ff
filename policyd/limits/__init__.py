"""Limits on how much may come from whom, or go where."""
