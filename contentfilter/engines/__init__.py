"""Virus engines: clamd over its socket, and any program that looks at a file.

Each takes a message as its recipient will get it and says what it knows: found, nothing found, not looked
into, or no answer. None of that is ever taken for another.
"""
