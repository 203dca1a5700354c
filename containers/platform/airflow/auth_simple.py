"""Airflow's own manager of one user: what AIRFLOW_AUTH=simple chooses."""

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import (
    SimpleAuthManager as AuthManager,
)

__all__ = ["AuthManager"]
