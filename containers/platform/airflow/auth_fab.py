"""Users with roles, in the database: what AIRFLOW_AUTH=fab chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow import settings
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
from airflow.providers.fab.www.security.permissions import RESOURCE_HITL_DETAIL

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
    from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
    from airflow.providers.fab.auth_manager.models import User


class AuthManager(FabAuthManager):
    """FAB's manager, in which whoever answers a question need not be allowed to edit the DAG."""

    def create_token(self, headers: dict[str, str], body: dict[str, Any]) -> User | None:
        """Return the user whose name and password these are, and give the connection back.

        FAB's own cleaning up is done in another thread than this; each thread that has looked for a
        user would keep one of the pool's connections.
        https://github.com/apache/airflow/issues/72361
        """
        try:
            user: User | None = super().create_token(headers, body)
            return user
        finally:
            if settings.Session:
                settings.Session.remove()

    def is_authorized_dag(
        self,
        *,
        method: ResourceMethod,
        user: User,
        access_entity: DagAccessEntity | None = None,
        details: DagDetails | None = None,
    ) -> bool:
        """Tell whether a user may do this to a DAG, or to what belongs to it.

        FAB asks for the right to edit the DAG with every change, which would let an approver switch
        DAGs on and off.
        """
        answers = access_entity == DagAccessEntity.HITL_DETAIL and method == "PUT"
        allowed: bool = super().is_authorized_dag(
            method="GET" if answers else method,
            user=user,
            access_entity=access_entity,
            details=details,
        )
        return allowed and (
            not answers
            or self.is_authorized_custom_view(
                method=method, resource_name=RESOURCE_HITL_DETAIL, user=user
            )
        )
