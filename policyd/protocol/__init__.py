"""Postfix's policy delegation protocol: bytes in, requests out. No Twisted."""
