"""A request in, a decision out: the policy in force, its verdict, and in which words. No Twisted."""
