"""Who may do what in Airflow: roles, the admin of .env, the brake on guessing, people of an issuer.

Flask AppBuilder (FAB) asks this class: https://flask-appbuilder.readthedocs.io/en/latest/security.html
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

from airflow.providers.fab.auth_manager.models import User
from airflow.providers.fab.auth_manager.security_manager.override import (
    FabAirflowSecurityManagerOverride,
)
from airflow.providers.fab.www.security import permissions as may
from fastapi import HTTPException
from flask import abort, current_app, has_request_context
from flask_appbuilder.api import BaseApi
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from sqlalchemy import select
from werkzeug.security import check_password_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

ADMIN = "admin"  # the user whose password .env has
# Of one name, whoever asks: behind Docker's ports, or a proxy, all have the same address.
GUESSES = parse("10 per minute")
TOO_MANY = "Too many wrong passwords for this name: wait a minute."
NO_PASSWORD = "!"  # noqa: S105 - no password has this hash
OF_ISSUER = re.compile(r" <[^<>]+>$")  # how the name of a user ends who logs in elsewhere
OTHERS = "*"  # stands for the groups of somebody who is in none that counts

Permissions = list[tuple[str, str]]
VIEWER: Permissions = [
    *FabAirflowSecurityManagerOverride.VIEWER_PERMISSIONS,
    (may.ACTION_CAN_ACCESS_MENU, may.RESOURCE_HITL_DETAIL),
]
APPROVER: Permissions = [*VIEWER, (may.ACTION_CAN_EDIT, may.RESOURCE_HITL_DETAIL)]
OPERATOR: Permissions = [
    *VIEWER,
    (may.ACTION_CAN_EDIT, may.RESOURCE_DAG),
    (may.ACTION_CAN_CREATE, may.RESOURCE_DAG_RUN),
    (may.ACTION_CAN_EDIT, may.RESOURCE_DAG_RUN),
    (may.ACTION_CAN_EDIT, may.RESOURCE_TASK_INSTANCE),
]
# FAB adds whatever else there is to Admin.
EVERYTHING: Permissions = [
    *FabAirflowSecurityManagerOverride.USER_PERMISSIONS,
    *FabAirflowSecurityManagerOverride.OP_PERMISSIONS,
    *FabAirflowSecurityManagerOverride.ADMIN_PERMISSIONS,
]
ROLES = {
    "Public": [],
    "Viewer": VIEWER,
    "Approver": APPROVER,
    "Operator": OPERATOR,
    "Admin": [*VIEWER, *EVERYTHING],
}


class NoLogin(BaseApi):  # type: ignore[misc]
    """In place of FAB's API of logins, one more place to guess at: its tokens open nothing here."""

    resource_name = "security"


def secret(name: str) -> str:
    """Return what a service is told by a file, nothing where it has none."""
    try:
        return (Path("/run/secrets") / name).read_text("utf-8").strip()
    except FileNotFoundError:
        return ""


class People(FabAirflowSecurityManagerOverride):
    """FAB's security manager with the roles of Microstage."""

    ROLE_CONFIGS = [  # noqa: RUF012 - FAB's
        {"role": name, "perms": permissions} for name, permissions in ROLES.items()
    ]
    security_api = NoLogin
    guesses = MovingWindowRateLimiter(MemoryStorage())

    # --- the admin --------------------------------------------------------------------------------

    def sync_roles(self) -> None:
        """Bring roles, and the admin, to what this version and .env say; FAB does so at a start."""
        super().sync_roles()
        if password := secret("AIRFLOW_ADMIN_PASSWORD"):
            self.keep_admin(password)

    def keep_admin(self, password: str) -> None:
        """Make the admin, or give it this password and its role where it has another."""
        role = self.find_role("Admin") or self.add_role("Admin")
        admin = self.find_user(username=ADMIN)
        if admin is None:
            self.add_user(ADMIN, "Admin", "", f"{ADMIN}@localhost", role, password)
            return
        if not check_password_hash(admin.password or NO_PASSWORD, password):
            admin.password = self._hash_password(password)
        admin.roles = [role]
        admin.active = True
        self.update_user(admin)

    # --- the brake --------------------------------------------------------------------------------

    def auth_user_db(
        self, username: str, password: str, rotate_session_id: bool = True
    ) -> User | None:
        """Return the user whose name and password these are: of the form, and of /auth/token.

        Ends the request with 429 after too many wrong ones. A guess is counted before it is looked
        at, so that many at once are counted too. Who logs in at an issuer has no password here,
        even if they have set one: it would outlive their account there.
        """
        known = self.find_user(username=username) or self.find_user(email=username)
        name = known.username if known else username
        if not self.guesses.hit(GUESSES, name):
            refuse()
        if OF_ISSUER.search(name):
            return None
        user: User | None = super().auth_user_db(username, password, rotate_session_id)
        if user:
            self.guesses.clear(GUESSES, name)
        return user

    # --- people of an OIDC issuer -----------------------------------------------------------------

    def get_oauth_user_info(self, provider: str, resp: dict[str, Any]) -> dict[str, Any]:
        """Return FAB's record of who has logged in at the issuer. Raises ValueError.

        :param resp: the issuer's answer; its ID token has been verified
        """
        token = resp["userinfo"]
        claims = self.oauth_remotes[provider].userinfo(token=resp)
        # https://openid.net/specs/openid-connect-core-1_0.html#UserInfoResponse
        if claims["sub"] != token["sub"]:
            raise ValueError("The issuer tells of another person than it has logged in.")
        claims = {**token, **claims}
        username = self.name_of(claims)
        email = claims.get("email") or ""
        owner = self.find_user(email=email) if email else None
        return {
            "username": username,
            "first_name": claims.get("given_name") or claims.get("name") or username,
            "last_name": claims.get("family_name") or "",
            # FAB wants one that nobody else has.
            "email": email if owner is None or owner.username == username else "",
            "role_keys": groups_that_count(claims, current_app.config["AUTH_ROLES_MAPPING"]),
        }

    def name_of(self, claims: Mapping[str, Any]) -> str:
        """Return the name of a user: what people call them, and what makes it nobody else's.

        Only `sub` is said to be unique and to stay; with another claim as a name, whoever may
        choose it at the issuer would be the admin here.
        """
        subject = f" <{quote(claims['sub'], safe='')}>"
        same = select(User.username).where(User.username.endswith(subject, autoescape=True))
        known: str | None = self.session.scalar(same)
        called = str(claims.get("preferred_username") or claims.get("email") or "somebody")
        return known or re.sub("[<>]", "", called) + subject

    def auth_user_oauth(
        self, userinfo: dict[str, Any], rotate_session_id: bool = True
    ) -> User | None:
        """Return the user who has logged in at the issuer, with the roles of their groups.

        Nobody, when these give none.
        """
        username = userinfo["username"]
        if userinfo["role_keys"] and not self.find_user(username=username):
            self.add_user(
                username,
                userinfo["first_name"],
                userinfo["last_name"],
                userinfo["email"] or username,
                hashed_password=NO_PASSWORD,
            )
        user: User | None = super().auth_user_oauth(userinfo, rotate_session_id)
        return user if user and user.roles else None


def refuse() -> NoReturn:
    """End the request, which is of Flask (the form) or of FastAPI (/auth/token)."""
    if has_request_context():
        abort(429, TOO_MANY)
    raise HTTPException(429, TOO_MANY, {"Retry-After": "60"})


def groups_that_count(claims: Mapping[str, Any], roles: Mapping[str, list[str]]) -> list[str]:
    """Return those of a person's groups that have a role, or else what stands for all others."""
    groups = claims.get(os.environ["OIDC_GROUPS"]) or []
    groups = [groups] if isinstance(groups, str) else groups
    counting = [group for group in groups if group in roles]
    return counting or [OTHERS] * (OTHERS in roles)
