"""Load tests from outside: they know the HTTP API and import no code of the project.

`locust -f loadtests` executes every module below this folder whose name doesn't start with an underscore, each under
its bare file name. So no module here does anything when it is imported, and none is called like a
scenario, a module of Python's or a package; tests/unit/test_loadtests_layout.py checks it.
"""
