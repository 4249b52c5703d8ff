"""State on a Redis or Valkey server that several nodes share.

Nothing here knows of mail. What is asked of the server is asked in one round trip: single keys
(:class:`RedisTable`), a small table that every node holds in memory (:class:`Roster`), or a Lua script for
what must be decided in one step.
"""
