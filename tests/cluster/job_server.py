"""A job server of Ray's kind that knows a few requests and remembers them, for what needs no cluster."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class JobServer:
    """What it answers, and the jobs and packages it was sent. token: None lets everybody in. logs: of every job."""

    version: str
    token: str | None = "right"
    jobs: list[dict[str, Any]] = field(default_factory=list)
    logs: str = ""
    submitted: list[dict[str, Any]] = field(default_factory=list)
    packages: dict[str, bytes] = field(default_factory=dict)
    address: str = ""

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, Any]:
        if self.token is not None and authorization != f"Bearer {self.token}":
            return (403, "Forbidden") if authorization else (401, "Unauthorized")
        if path == "/api/version":
            return 200, {"version": "4", "ray_version": self.version, "ray_commit": "", "session_name": ""}
        if path.startswith("/api/packages/"):
            if method == "PUT":
                self.packages[path] = body
            return 200 if path in self.packages else 404, {}
        if path == "/api/jobs/" and method == "GET":
            return 200, self.jobs
        if path == "/api/jobs/":
            self.submitted.append(json.loads(body))
            name = self.submitted[-1]["submission_id"]
            self.jobs.append(job(name, "SUCCEEDED"))
            return 200, {"job_id": name, "submission_id": name}
        name = path.split("/")[3]
        known = [one for one in self.jobs if one["submission_id"] == name]
        if not known:
            return 404, f"Job {name} does not exist"
        return 200, {"logs": self.logs} if path.endswith("/logs") else {
            "stopped": False
        } if method == "POST" else known[0]


def job(name: str, status: str, **metadata: str) -> dict[str, Any]:
    """A job as the server describes it."""
    return {"type": "SUBMISSION", "submission_id": name, "status": status, "entrypoint": "", "metadata": metadata}


@contextmanager
def running(server: JobServer) -> Iterator[JobServer]:
    """The server at a port of its own, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = server.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
            data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        server.address = f"http://127.0.0.1:{http.server_address[1]}"
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
