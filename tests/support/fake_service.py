"""A process that the stack can start in a service's place: answers every path, and misbehaves as told.

`python fake_service.py NAME [BEHAVIOUR]`, with HOST, PORT and REDIS_URL as the real ones get them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME = sys.argv[1]
BEHAVIOUR = sys.argv[2] if len(sys.argv) > 2 else "well"


def log(level: str, event: str, **fields: object) -> None:
    record = {"timestamp": "2026-11-24T12:34:56.789Z", "level": level, "event": event, "service": NAME, **fields}
    print(json.dumps(record, separators=(",", ":")), flush=True)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/crash":
            os._exit(3)
        self.send_response(503 if BEHAVIOUR == "never-ready" else 200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"service": NAME, "environment": dict(os.environ)}).encode())

    def log_message(self, *_: object) -> None:
        log("info", "request", path=self.path)


def terminated(_number: int, _frame: object) -> None:
    log("warning", "terminated")
    threading.Thread(target=server.shutdown).start()


if BEHAVIOUR == "dies-at-start":
    print("configuration error: RATE_LIMIT_LOGIN: not a limit", file=sys.stderr)
    sys.exit(2)
if BEHAVIOUR == "has-worker":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", f"worker-of-{os.getpid()}"])

server = ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, signal.SIG_IGN if BEHAVIOUR == "stubborn" else terminated)
log("info", "started")
log("warning", "warned", detail="look at me\x1b[31m")
server.serve_forever()
server.server_close()
