"""The control socket: how the operator's commands and contentfilter talk to a running daemon.

A UNIX socket of mode 0660; whoever may open it may give orders. One JSON object a line, at most 1 MiB.
A request names its verb and arguments; the answer is any number of ``{"row": …}`` lines and one final line
with ``"ok"``. Requests on one connection are answered in their order.
"""

from mailbase.control.protocol import ControlError

__all__ = ["ControlError"]
