"""As much of Docker's API as its client needs to list and inspect networks.

Serves documents over a Unix socket, so that docker's own client formats what
macvnet knows. Needs no root, and no daemon.
"""

from __future__ import annotations

import json
import re
import socketserver
import tempfile
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

VERSION = "1.52"
"""Of Docker 29; an older client asks in its own, and is answered the same."""


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    documents: Sequence[dict[str, Any]] = ()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(200, b"OK", "text/plain")

    def do_GET(self) -> None:
        path = re.sub(r"^/v[0-9.]+(?=/)", "", urlsplit(self.path).path)
        assert isinstance(self.server, _Server)
        documents = self.server.documents
        if path == "/_ping":
            self._answer(200, b"OK", "text/plain")
        elif path == "/networks":
            self._json(200, documents)
        elif path.startswith("/networks/"):
            term = unquote(path.removeprefix("/networks/"))
            found = [one for one in documents if term in (one["Name"], one["Id"])]
            missing = {"message": f"network {term} not found"}
            self._json(200 if found else 404, found[0] if found else missing)
        else:
            self._json(404, {"message": "page not found"})

    def _json(self, status: int, body: Any) -> None:
        self._answer(status, json.dumps(body).encode(), "application/json")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Api-Version", VERSION)
        self.send_header("Ostype", "linux")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: what matters is what the client makes of it."""


class Api:
    """A server of these documents; ``host`` is what the client is told with --host."""

    def __init__(self, documents: Sequence[dict[str, Any]]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="macvnet-api-")
        path = Path(self._folder.name) / "docker.sock"
        self.host = f"unix://{path}"
        self._server = _Server(str(path), _Handler)
        self._server.documents = documents
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """Of a client that has no configuration of its own."""
        return {"PATH": "/usr/bin:/bin", "HOME": "/", "DOCKER_CONFIG": self._folder.name}

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._folder.cleanup()

    def __enter__(self) -> Api:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
