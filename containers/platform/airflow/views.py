"""A plugin of Airflow: the reports as a page of its UI, which the API server alone loads.

https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/plugins.html
"""

import os

from airflow.plugins_manager import AirflowPlugin


class Views(AirflowPlugin):
    """The service of the reports, in a frame; which it lets Airflow alone do."""

    name = "microstage"
    external_views = [  # noqa: RUF012 - as Airflow declares it
        {
            "name": "Reports",
            "href": f"{os.environ.get('MICROSTAGE_REPORTS_URL', 'http://localhost:8082')}/",
            "url_route": "reports",
            "destination": "nav",
        }
    ]
