"""When DAGs run: at midnight UTC, and never for a time that was before they were switched on."""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable

# Not run_immediately=False: Airflow 3.3.2 takes that for "a run that was due in the last tenth of
# the interval is made up for", against its documentation.
_NOT_LATER = timedelta(0)

DAILY = CronTriggerTimetable("@daily", timezone="UTC", run_immediately=_NOT_LATER)
WEEKLY = CronTriggerTimetable("@weekly", timezone="UTC", run_immediately=_NOT_LATER)  # on Sunday
