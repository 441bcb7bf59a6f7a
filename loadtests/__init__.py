"""Load tests from outside: they know the HTTP API and import no code of the project."""
