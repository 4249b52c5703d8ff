"""A message while it is in our hands: where it lies, and that it leaves as it came."""
