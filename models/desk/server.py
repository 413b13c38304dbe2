"""The page on loopback: who may ask, and for what.

Bound to 127.0.0.1. Every request bears the token that was drawn at the start; its `Host` is this server's own, so that
no name that was made to point here (DNS rebinding) reaches it; what changes or tells anything is a POST of JSON from
this very origin. Paths name functions of `Api`, never files.
"""

import hmac
import secrets
import sys
import traceback
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from urllib.parse import parse_qs, urlsplit

from models.desk.api import Api, Reply, as_json

LOOPBACK = "127.0.0.1"
LARGEST = 65_536
"""Bytes of a request's body."""
IDLE_S = 60
"""After which a connection that says nothing is closed."""
PARTS = {"{{style}}": "desk.css", "{{script}}": "desk.js"}
"""What is put into the page, so that it is one request."""


class DeskServer(ThreadingHTTPServer):
    """Serves one desk to whoever has the token.

    Args:
        api: what can be asked.
        port: 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, api: Api, port: int = 0) -> None:
        self.bench = api.bench
        self.token = secrets.token_urlsafe(24)
        self.routes = api.routes
        self.page = page()
        try:
            super().__init__((LOOPBACK, port), Handler)
        except OSError as fault:
            raise OSError(f"--port {port}: {fault.strerror}") from None

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing, where a page was closed while it was answered; else the traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            traceback.print_exc()

    def server_close(self) -> None:
        """Close, once what is being made is made: an interpreter that ends under a working kernel aborts."""
        super().server_close()
        self.bench.stop()

    @property
    def hosts(self) -> tuple[str, str]:
        """What a request's `Host` may be."""
        return f"{LOOPBACK}:{self.server_port}", f"localhost:{self.server_port}"

    @property
    def address(self) -> str:
        """Of the page, with the token."""
        return f"http://{LOOPBACK}:{self.server_port}/?token={self.token}"


def page() -> str:
    """The page with its style and script inside."""
    folder = files("models.desk")
    text = (folder / "desk.html").read_text(encoding="utf-8")
    for mark, name in PARTS.items():
        text = text.replace(mark, (folder / name).read_text(encoding="utf-8"))
    return text


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: DeskServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "isp-sim", ""
    timeout = IDLE_S
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """The page, to whoever has the token in its address."""
        try:
            address = urlsplit(self.path)
        except ValueError:  # such as a bracket that is not closed
            self._refuse(HTTPStatus.BAD_REQUEST, "expected an address")
            return
        if not self._known_host() or not self._knows(parse_qs(address.query).get("token", [""])[0]):
            self._refuse(HTTPStatus.FORBIDDEN, "open the address that isp-sim desk printed, with its token")
        elif address.path != "/":
            self._refuse(HTTPStatus.NOT_FOUND, "nothing lies here")
        else:
            nonce = secrets.token_urlsafe(12)
            policy = (
                f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
                "img-src blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            )
            content = self.server.page.replace("{{nonce}}", nonce).encode()
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", content, {"Content-Security-Policy": policy})

    def do_POST(self) -> None:
        """A question of the page's."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and len(length) < 9 and int(length) <= LARGEST):
            self.close_connection = True
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected a body of at most {LARGEST} bytes")
            return
        body = self.rfile.read(int(length))
        own_origin = self.headers.get("Origin", "").removeprefix("http://") == self.headers.get("Host")
        own_origin &= self.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
        json = self.headers.get("Content-Type", "").partition(";")[0] == "application/json"
        if not (self._known_host() and own_origin and json and self._knows(self.headers.get("X-Token", ""))):
            self._refuse(HTTPStatus.FORBIDDEN, "expected JSON from the page itself, with its token")
            return
        answer = self.server.routes.get(self.path)
        if answer is None:
            self._refuse(HTTPStatus.NOT_FOUND, "nothing lies here")
        else:
            self._answer(answer, body)

    def _answer(self, answer: Callable[[bytes], Reply], body: bytes) -> None:
        try:
            reply = answer(body)
        except (ValueError, OSError) as fault:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(fault))
        except Exception as fault:  # a third party's ISP may raise anything; the desk goes on
            traceback.print_exc()
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(fault).__name__}: {fault}")
        else:
            about = {} if reply.about is None else {"X-About": as_json(reply.about).content.decode()}
            self._send(HTTPStatus.OK, reply.kind, reply.content, about)

    def _known_host(self) -> bool:
        return self.headers.get("Host") in self.server.hosts

    def _knows(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.server.token.encode())

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        self._send(status, "application/json", as_json({"fault": sentence}).content, {})

    def _send(self, status: HTTPStatus, kind: str, content: bytes, more: dict[str, str]) -> None:
        self.send_response(status)
        safe = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
        headers = {"Content-Type": kind, "Content-Length": str(len(content))} | safe | more
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the token would be in it."""
