"""A mail server that delivers nothing: it keeps what it is sent, and shows it on a page.

Port 1025 takes mail (SMTP), port 8025 shows it: / for people, /messages.json for programs.
Each message is one file of $MAIL_DIRECTORY, named by its arrival; the newest $MAIL_KEEP stay.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from email import message_from_bytes, policy
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

FOLDER = Path(os.environ.get("MAIL_DIRECTORY") or "/var/mail")
KEEP = int(os.environ.get("MAIL_KEEP") or 500)
MAX_BYTES = 2**20
# A page elsewhere that gives its own name this machine's address gets no mail to read.
HOSTS = {"localhost", "127.0.0.1", "mail"}
STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { width: 100%; border-collapse: collapse }
td, th { padding: .4rem .8rem .4rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid #8884 }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: 1rem; background: #8881 }
"""


class Keeper:
    """What aiosmtpd hands each message to."""

    def __init__(self) -> None:
        self.last = 0

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        try:
            self.last = max(time.time_ns(), self.last + 1)  # a clock may go back
            new = FOLDER / f".{self.last}"
            new.write_bytes(envelope.content)
            new.rename(FOLDER / f"{self.last}.eml")
            for old in messages()[KEEP:]:
                old.unlink(missing_ok=True)
        except OSError as error:
            print(f"A message could not be kept: {error}", file=sys.stderr)
            return "452 4.3.1 Cannot keep it now"
        return "250 2.0.0 Kept"


def messages() -> list[Path]:
    """Return the messages' files, the newest first."""
    return sorted(FOLDER.glob("*.eml"), reverse=True)


def read(path: Path) -> dict[str, str]:
    """Return a message as text; of one that is no proper mail, its source."""
    source = path.read_bytes()
    received = datetime.fromtimestamp(int(path.stem) / 1e9, UTC)
    shown = {"id": path.stem, "received": f"{received:%Y-%m-%d %H:%M:%S} UTC"}
    try:
        mail = message_from_bytes(source, policy=policy.default)
        body = mail.get_body(("plain", "html"))
        parts = {name: str(mail[name] or "") for name in ("from", "to", "subject")}
        parts["text"] = str(body.get_content() if body else "").replace("\r\n", "\n")
    except Exception:  # whatever a sender can think of
        parts = {"from": "", "to": "", "subject": "", "text": source.decode("utf-8", "replace")}
    return shown | parts


def page(title: str, content: str, *, refresh: bool = False) -> str:
    """Return a whole page; the content is HTML already."""
    again = '<meta http-equiv="refresh" content="10">' if refresh else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">{again}<title>{escape(title)}'
        f"</title><style>{STYLE}</style><h1>{escape(title)}</h1>{content}</html>\n"
    )


def list_page() -> str:
    """Return the page of all messages."""
    rows = [
        f"<tr><td>{mail['received']}<td>{escape(mail['to'])}"
        f'<td><a href="/messages/{mail["id"]}">{escape(mail["subject"]) or "(no subject)"}</a>'
        for mail in map(read, messages())
    ]
    table = f"<table><tr><th>Received<th>To<th>Subject{''.join(rows)}</table>"
    return page("Mail", table if rows else "<p>Nothing has come in yet.", refresh=True)


def message_page(mail: dict[str, str]) -> str:
    """Return the page of one message: its text, with links."""
    head = "".join(
        f"<tr><th>{name.capitalize()}<td>{escape(mail[name])}"
        for name in ("from", "to", "received")
    )
    text = re.sub(
        r"https?://[^\s<>]+",
        lambda link: f'<a rel="noreferrer" href="{link[0]}">{link[0]}</a>',
        escape(mail["text"]),
    )
    body = f'<table>{head}</table><pre>{text}</pre><p><a href="/">All messages</a>'
    return page(mail["subject"] or "(no subject)", body)


class Pages(BaseHTTPRequestHandler):
    """The list, a message, and all of them as JSON."""

    timeout = 10

    def do_GET(self) -> None:
        host = (self.headers.get("Host") or "localhost").rpartition(":")
        if (host[0] or host[2]) not in HOSTS:
            self.answer(HTTPStatus.FORBIDDEN, page("Not by this name", "<p>Use localhost."))
        elif self.path == "/":
            self.answer(HTTPStatus.OK, list_page())
        elif self.path == "/messages.json":
            found = json.dumps([read(path) for path in messages()])
            self.answer(HTTPStatus.OK, found, "application/json")
        elif (name := re.fullmatch(r"/messages/(\d+)", self.path)) and (
            path := FOLDER / f"{name[1]}.eml"
        ).is_file():
            self.answer(HTTPStatus.OK, message_page(read(path)))
        else:
            self.answer(HTTPStatus.NOT_FOUND, page("Not here", '<p><a href="/">All messages</a>'))

    def answer(self, status: HTTPStatus, text: str, kind: str = "text/html") -> None:
        content = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'",
        )
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing: each look at the page would be a line."""


def main() -> None:
    """Serve both ports until SIGTERM."""
    smtp = Controller(
        Keeper(), hostname="", port=1025, data_size_limit=MAX_BYTES, server_hostname="mail"
    )
    smtp.start()
    web = ThreadingHTTPServer(("", 8025), Pages)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    print("Mail is taken on port 1025 and shown on port 8025", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    smtp.stop()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
