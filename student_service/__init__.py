"""Student records: what a registrar keeps about each student, and everything that ever changed in it."""
