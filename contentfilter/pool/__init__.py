"""The scan pool: worker processes that parse foreign bytes, and may be killed for it.

From the daemon inwards: ``pool`` (queue and deadlines), ``crew`` and ``member`` (the workers' life),
``process`` (the Twisted edge), ``worker`` (the process), ``scanning`` (the scanners). ``messages`` is what
both ends say, ``confinement`` what a worker gives up.

This file imports nothing, so that a worker loads neither Twisted nor the configuration.
"""
