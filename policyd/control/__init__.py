"""The control socket: questions and commands of operators and of contentfilter."""
