"""What goes wrong while stages run, on the real stack: nothing is lost, and nothing runs twice.

A pipeline of its own, whose data takes as long to make as a test says.
"""

import datetime as dt
import json
import time

from slow_pipeline import Slow
from stack import wait_until


def test_a_stage_goes_on_while_its_task_is_killed_and_then_its_scheduler_is_replaced(
    slow: Slow,
) -> None:
    day = dt.date(2020, 6, 1)
    slow.takes(75)
    with slow.watched() as seen:
        run = slow.start("generate_data", day)
        wait_until(slow.running)
        time.sleep(3)
        slow.kill_task()
        wait_until(
            lambda: "Going on with container" in slow.log("generate_data", day, "generate"),
            what="a task whose process was killed goes on",
        )
        recreate = ["up", "--detach", "--wait", "--force-recreate", "--no-deps", "--timeout", "3"]
        slow.stack.run("docker", "compose", *recreate, "scheduler")
        wait_until(
            lambda: (
                slow.airflow.tasks(run)[0]["try_number"] == 3
                and slow.states("generate_data", day)["generate"] == "running"
            ),
            what="one whose scheduler was replaced goes on",
        )
        wait_until(lambda: slow.has_ended(run))
    log = slow.log("generate_data", day, "generate")
    manifest = slow.manifest(f"raw/{day}")

    assert "success" == slow.state_of(run)
    assert {slow.host(day)} == seen
    assert 3 == manifest["run"]["try"]
    assert manifest["seconds"] >= 75
    assert "second 75" in log
    assert '"second 1"' not in log, "it goes on from where it was"
    assert [] == slow.left()


def test_after_the_whole_stack_was_killed_what_ran_goes_on_and_a_backfill_ends_by_itself(
    slow: Slow,
) -> None:
    alone, first = dt.date(2020, 6, 2), dt.date(2020, 7, 1)
    days = [first + dt.timedelta(days=number) for number in range(30)]

    def there() -> list[dt.date]:
        return [day for day in days if (slow.data / f"raw/{day}/manifest.json").exists()]

    slow.takes(1, long=alone)
    long = slow.start("generate_data", alone)
    wait_until(slow.running)
    [container] = slow.running()
    slow.airflow.switch_on("backfill")
    conf = {"first": str(days[0]), "last": str(days[-1])}
    run = slow.airflow.trigger("backfill", days[-1], conf)
    wait_until(lambda: len(there()) > 5)
    slow.stack.run("docker", "compose", "kill")
    done = {day: slow.manifest(f"raw/{day}") for day in there()}
    slow.stack.run("docker", "compose", "up", "--detach", "--wait")
    wait_until(lambda: slow.has_ended(long), what="a stage of before the whole stack was killed")
    wait_until(lambda: slow.has_ended(run), what="the backfill of 30 days has ended, too")
    after = {day: slow.manifest(f"raw/{day}") for day in there()}
    tasks = slow.states("backfill", days[-1])

    assert "success" == slow.state_of(long)
    assert container == slow.host(alone)
    assert 5 < len(done) < 30
    assert days == list(after)
    assert done == {day: after[day] for day in done}, "what is published is not done again"
    assert "success" == tasks["generate"], json.dumps(tasks)
    assert [] == slow.left()
    assert set() == slow.containers()


def test_a_task_that_a_person_marks_as_failed_ends_and_publishes_nothing(slow: Slow) -> None:
    day = dt.date(2020, 6, 4)
    slow.takes(60)
    run = slow.start("generate_data", day)
    wait_until(slow.running)
    slow.airflow.call("PATCH", f"{run}/taskInstances/generate", {"new_state": "failed"})
    wait_until(lambda: not slow.containers(), what="the container of a marked task is gone")
    time.sleep(1)

    assert not (slow.data / f"raw/{day}").exists()
    assert [] == slow.left()
