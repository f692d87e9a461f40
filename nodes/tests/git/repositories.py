"""Git repositories for tests, made by the git command, and the servers that hold them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

GOOD = "variant: fcos\nversion: 1.5.0\npasswd:\n  users:\n    - name: core\n"


@dataclass
class Work:
    """A work tree, and the bare repository that it pushes to."""

    tree: Path
    bare: Path

    def git(self, *argv: str, stdin: bytes | None = None, env: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            ["git", *argv], cwd=self.tree, input=stdin, capture_output=True, check=True, env={**_ENV, **(env or {})}
        )
        return done.stdout.decode().strip()

    def write(self, path: str, text: str) -> None:
        target = self.tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def commit(self, message: str = "change", **files: str) -> str:
        """Commit files; `a__b_bu` is the path a/b.bu. Returns the commit."""
        for name, text in files.items():
            self.write(name.replace("__", "/").replace("_", "."), text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def push(self, *extra: str) -> None:
        self.git("push", "-q", "origin", "HEAD:main", *extra)


_ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "Anna Example",
    "GIT_AUTHOR_EMAIL": "anna@example.org",
    "GIT_COMMITTER_NAME": "Anna Example",
    "GIT_COMMITTER_EMAIL": "anna@example.org",
}


def make_work(folder: Path) -> Work:
    tree, bare = folder / "tree", folder / "bare.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True, env=_ENV)
    subprocess.run(["git", "init", "-q", "-b", "main", str(tree)], check=True, env=_ENV)
    work = Work(tree, bare)
    work.git("remote", "add", "origin", str(bare))
    return work


def push_over_http(work: Work, base: str) -> str:
    """Have the work tree push to the HTTP server of this address, which takes it; the address of the repository."""
    url = f"{base}/{work.bare.name}"
    work.git("--git-dir", str(work.bare), "config", "http.receivepack", "true")
    work.git("remote", "set-url", "origin", url)
    return url


@contextlib.contextmanager
def http_server(root: Path, password: str = "") -> Iterator[str]:
    """git http-backend behind a small server; the address below which repositories stand."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            if password and password not in _password_of(self.headers.get("Authorization", "")):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            size = int(self.headers.get("Content-Length") or 0)
            env = {
                **_ENV,
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(size),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            backend = [shutil.which("git") or "git", "http-backend"]
            body = self.rfile.read(size) if size else b""
            out = subprocess.run(backend, input=body, capture_output=True, env=env, check=False).stdout
            head, _, rest = out.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest)

        do_POST = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _password_of(header: str) -> str:
    import base64

    return base64.b64decode(header.removeprefix("Basic ")).decode("utf-8", "replace")
