"""What FAB asks of its installation, from the variables that docker-compose.yml hands on.

https://airflow.apache.org/docs/apache-airflow-providers-fab/stable/auth-manager/webserver-authentication.html
"""

import os

from flask_appbuilder.const import AUTH_OAUTH
from people import OTHERS, ROLES, People, secret

SECURITY_MANAGER_CLASS = People
# FAB's own brake knows the form alone, and counts by address: People has another.
AUTH_RATE_LIMITED = False
RATELIMIT_STORAGE_URI = "memory://"


def roles_of_groups(said: str, others: str) -> dict[str, list[str]]:
    """Return group -> roles for "group=Role,group=Role". Raises ValueError."""
    roles: dict[str, list[str]] = {}
    pairs = [] if said == "none" else said.split(",")
    for pair in [*pairs, *([] if others == "none" else [f"{OTHERS}={others}"])]:
        group, _, role = pair.rpartition("=")
        if not group or role not in ROLES:
            known = ", ".join(name for name in ROLES if ROLES[name])
            raise ValueError(
                f"OIDC_ROLES or OIDC_OTHERS in .env has {pair!r}; "
                f"write GROUP=ROLE, by comma, with one of the roles {known}."
            )
        roles.setdefault(group.strip(), []).append(role)
    return roles


if (issuer := os.environ.get("OIDC_ISSUER", "none")) != "none":
    AUTH_TYPE = AUTH_OAUTH
    AUTH_ROLES_MAPPING = roles_of_groups(os.environ["OIDC_ROLES"], os.environ["OIDC_OTHERS"])
    AUTH_ROLES_SYNC_AT_LOGIN = True
    OAUTH_PROVIDERS = [
        {
            "name": "oidc",
            "icon": "fa-key",
            "token_key": "access_token",
            "remote_app": {
                "client_id": os.environ["OIDC_CLIENT_ID"],
                "client_secret": secret("OIDC_CLIENT_SECRET"),
                "server_metadata_url": f"{issuer.rstrip('/')}/.well-known/openid-configuration",
                "client_kwargs": {
                    "scope": os.environ["OIDC_SCOPES"],
                    "code_challenge_method": "S256",
                },
            },
        }
    ]
