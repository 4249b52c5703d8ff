"""The milter protocol as Postfix speaks it (MILTER_README): the other way in front of its queue."""
