"""Writing students into files, a piece at a time."""
