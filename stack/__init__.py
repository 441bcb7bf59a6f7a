"""The whole system on one machine: `python -m stack` runs what `make run` promises.

It starts processes and imports none of them: a service is a command, a port and a path that answers when it is ready.
"""
