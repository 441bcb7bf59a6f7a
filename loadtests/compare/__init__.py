"""The gateway beside others that do the same job, on one machine, in turns: `python -m loadtests.compare`."""
