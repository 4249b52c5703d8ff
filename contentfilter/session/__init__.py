"""A client, from its connection to its last reply: a machine without sockets, and the edge around it."""
