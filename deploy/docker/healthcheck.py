"""The container's health: GET a path, by default /readyz, on this container's own PORT; exit 0 when it answers 200."""

import http.client
import os
import sys

TIMEOUT_SECONDS = 3.0


def main() -> int:
    """Ask once."""
    path = sys.argv[1] if len(sys.argv) > 1 else "/readyz"
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("PORT", "8000")), timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(2000).decode(errors="replace")
    except OSError as error:
        sys.stdout.write(f"{path}: {error}\n")
        return 1
    sys.stdout.write(f"{path}: {response.status} {body}\n")
    return 0 if response.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
