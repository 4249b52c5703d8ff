"""State that outlives the daemon: named tables of key → row, answered from memory, written behind.

An entry is visible to every later read as soon as it is put; one writer thread commits entries in groups.
No answer ever waits for the disk to be written, and ``kill -9`` loses at most the last group. The tables
know nothing of mail: greylisting, tickets and whatever else needs to be remembered describe theirs as
:class:`TableSpec`.
"""

from mailbase.store.errors import StoreError
from mailbase.store.memory import Memory
from mailbase.store.store import Store, StoreStatus
from mailbase.store.table import Table
from mailbase.store.tables import NEVER, Column, Row, TableSpec

__all__ = ["NEVER", "Column", "Memory", "Row", "Store", "StoreError", "StoreStatus", "Table", "TableSpec"]
