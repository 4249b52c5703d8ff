"""Readers of container formats by our own rules: bounded, forgiving, and suspicious of what disagrees."""
