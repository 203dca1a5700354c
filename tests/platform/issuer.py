"""An OpenID Connect issuer of the tests' own: Canaille, https://canaille.readthedocs.io."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html.parser import HTMLParser

import httpx
from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey
from stack import free_port
from werkzeug.serving import make_server

CLIENT, SECRET, PASSWORD = "microstage", "what the issuer and its client share", "correct horse"


@contextmanager
def issuer(host: str, redirect_uri: str, groups: Mapping[str, list[str]]) -> Iterator[str]:
    """Run an issuer whose people are in these groups (group -> names); yield its address."""
    # Canaille's library would have TLS; this one and its client are on one machine.
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    port = free_port()
    address = f"http://{host}:{port}"
    app = create_app(
        {
            "SECRET_KEY": "the tests' own",
            "SERVER_NAME": f"{host}:{port}",
            "PREFERRED_URL_SCHEME": "http",
            "CANAILLE": {"DATABASE": "memory", "JAVASCRIPT": False, "HTMX": False},
            "CANAILLE_OIDC": {
                "ACTIVE_JWKS": [RSAKey.generate_key(auto_kid=True).as_dict(private=True)],
                "TRUSTED_DOMAINS": ["localhost"],  # it asks nobody for consent
            },
        }
    )
    with app.app_context():
        people(groups)
        client = models.Client(
            client_id=CLIENT,
            client_secret=SECRET,
            client_name="Airflow",
            client_uri="http://localhost",
            redirect_uris=[redirect_uri],
            grant_types=["authorization_code"],
            response_types=["code"],
            scope=["openid", "profile", "email", "groups"],
            token_endpoint_auth_method="client_secret_basic",  # noqa: S106 - a method's name
        )
        Backend.instance.save(client)
    server = make_server(host, port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        server.shutdown()
        thread.join()
        del os.environ["AUTHLIB_INSECURE_TRANSPORT"]


def people(groups: Mapping[str, list[str]]) -> None:
    """Make the people and their groups; a group "" is none."""
    for group, names in groups.items():
        members = [
            models.User(
                user_name=name,
                given_name=name.title(),
                family_name="Example",
                formatted_name=f"{name.title()} Example",
                emails=[f"{name}@issuer.example.org"],
                password=PASSWORD,
            )
            for name in names
        ]
        for member in members:
            Backend.instance.save(member)
        if group:
            Backend.instance.save(models.Group(display_name=group, members=members))


class Form(HTMLParser):
    """The fields of the first form of a page that is sent by POST."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.inside = self.done = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.inside = not self.done and found.get("method", "").lower() == "post"
        elif tag == "input" and self.inside and "name" in found:
            self.fields[found["name"]] = found.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self.inside:
            self.inside, self.done = False, True


def log_in(browser: httpx.Client, address: str, name: str) -> httpx.Response:
    """Go to what leads to the issuer's forms, and fill them in; return what comes then."""
    page = browser.get(address)
    for answer in ({"login": name}, {"password": PASSWORD}):
        page = browser.post(page.url, data={**Form(page.text).fields, **answer})
    return page
