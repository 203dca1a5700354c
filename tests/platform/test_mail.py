"""The mail catcher: what it is sent is kept, bounded and shown, and nothing of it is believed."""

import json
import smtplib
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage

import pytest
from images import VERSION, wait_for_answer
from stack import docker

HOSTILE = '<script>alert("x")</script>&<img src=x onerror=y>'


@dataclass
class Catcher:
    """A running catcher, reached as another container and as a browser reach it."""

    container: str

    def port(self, inside: int) -> int:
        return int(docker("port", self.container, str(inside)).rpartition(":")[2])

    def send(
        self, subject: str = "a subject", text: str = "a text", subtype: str = "plain"
    ) -> None:
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = subject, "a@x.org", "b@x.org"
        message.set_content(text, subtype=subtype)
        with smtplib.SMTP("127.0.0.1", self.port(1025), timeout=10) as client:
            client.send_message(message)

    def get(self, path: str, host: str = "localhost") -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.port(8025)}{path}"
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, headers={"Host": host}), timeout=10
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def messages(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(self.get("/messages.json")[1])
        return found

    def wait(self) -> None:
        wait_for_answer(self.container, lambda: self.get("/"), 20)


@pytest.fixture(scope="module")
def running() -> Iterator[Catcher]:
    container = docker(
        *("run", "--detach", "--init", "--read-only", "--cap-drop=ALL", "--network=bridge"),
        *("--security-opt=no-new-privileges", "--env=MAIL_KEEP=5", "--volume=/var/mail"),
        *("--publish=127.0.0.1::1025", "--publish=127.0.0.1::8025"),
        f"microstage/mail:{VERSION}",
    )
    yield Catcher(container)
    docker("rm", "--force", "--volumes", container)


@pytest.fixture
def catcher(running: Catcher) -> Catcher:
    running.wait()
    return running


def test_a_mail_is_there_as_text_for_people_and_programs(catcher: Catcher) -> None:
    catcher.send("Größe", "see http://localhost:8080/dags/x?a=1&b=2\nsecond line")
    newest = catcher.messages()[0]
    page = catcher.get(f"/messages/{newest['id']}")[1]

    assert ("Größe", "a@x.org", "b@x.org") == tuple(newest[k] for k in ("subject", "from", "to"))
    assert newest["text"] == "see http://localhost:8080/dags/x?a=1&b=2\nsecond line\n"
    assert f'<a href="/messages/{newest["id"]}">Größe</a>' in catcher.get("/")[1]
    assert 'href="http://localhost:8080/dags/x?a=1&amp;b=2"' in page


@pytest.mark.parametrize("subtype", ["plain", "html"])
def test_nothing_in_a_mail_becomes_part_of_a_page(catcher: Catcher, subtype: str) -> None:
    catcher.send(HOSTILE, HOSTILE, subtype)
    newest = catcher.messages()[0]
    pages = [catcher.get(path)[1] for path in ("/", f"/messages/{newest['id']}")]

    assert HOSTILE == newest["subject"] == newest["text"].strip()
    for page in pages:
        assert "&lt;script&gt;" in page
        assert "<script" not in page
        assert "<img" not in page


def test_what_is_no_proper_mail_is_shown_as_it_came(catcher: Catcher) -> None:
    strange = b"Subject: x\r\nContent-Type: text/plain; charset=no-such\r\n\r\nwords \xff\r\n"
    with smtplib.SMTP("127.0.0.1", catcher.port(1025), timeout=10) as client:
        client.sendmail("a@x.org", ["b@x.org"], strange)
    newest = catcher.messages()[0]

    assert "words" in newest["text"]
    assert catcher.get(f"/messages/{newest['id']}")[0] == 200


def test_mails_survive_a_restart_and_it_ends_at_once(catcher: Catcher) -> None:
    catcher.send("before")
    started = time.monotonic()
    docker("stop", catcher.container)
    seconds = time.monotonic() - started
    docker("start", catcher.container)
    catcher.wait()

    assert "before" in [mail["subject"] for mail in catcher.messages()]
    assert seconds < 5


def test_only_the_newest_are_kept(catcher: Catcher) -> None:
    for number in range(7):
        catcher.send(f"number {number}")

    assert [f"number {n}" for n in (6, 5, 4, 3, 2)] == [m["subject"] for m in catcher.messages()]


@pytest.mark.parametrize("path", ["/messages/1", "/../etc/passwd", "/messages/%2e%2e", "/x"])
def test_there_are_no_other_pages(catcher: Catcher, path: str) -> None:
    assert catcher.get(path)[0] == 404


def test_a_page_elsewhere_cannot_read_it_under_a_name_of_its_own(catcher: Catcher) -> None:
    status, page = catcher.get("/messages.json", host="evil.example.org")

    assert status == 403
    assert "subject" not in page


def test_a_connection_that_says_nothing_keeps_nobody_waiting(catcher: Catcher) -> None:
    with socket.create_connection(("127.0.0.1", catcher.port(8025))):
        assert catcher.get("/")[0] == 200


def test_it_is_locked_in_and_has_no_shell(catcher: Catcher) -> None:
    inside = docker("exec", catcher.container, "python3", "-c", "import os; print(os.getuid())")
    with pytest.raises(pytest.fail.Exception, match="sh"):
        docker("exec", catcher.container, "sh", "-c", "true")

    assert inside == "65532"
