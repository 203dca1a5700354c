"""Two worker hosts beside the control host, each with an engine of its own: nothing is lost."""

import datetime as dt
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hosts import CONTROL, NET, Host, ip, make_switch, stages
from image_registry import TOOLS_TAG, build_tools, serving
from slow_pipeline import Slow
from stack import Stack, clone_to, docker, free_port, meanwhile, wait_until

from support.worker_host import services

pytestmark = pytest.mark.workers
QUEUE = 'queue = "workers"\n'
LATER = "import airflow; airflow.__version__ = '3.2.0'; import sys; sys.argv = ['airflow', "
LATER += "*sys.argv[1:]]; from airflow.__main__ import main; main()"


class Wide(Slow):
    """The slow pipeline, run by worker hosts."""

    more = QUEUE

    def takes(self, *args: Any, **options: Any) -> None:
        super().takes(*args, **options)
        self.file.write_text(self.file.read_text() + self.more)


class Farm:
    """The control host and its workers."""

    def __init__(self, stack: Stack, hosts: list[Host], registry: str) -> None:
        self.stack = stack
        self.hosts = hosts
        self.registry = registry  # where the hosts find it
        self.wide = Wide(stack, "slow")

    def running(self) -> list[str]:
        """Return what runs on all of them: a task and day for each container."""
        return [what for at in (stages, *(h.stages for h in self.hosts)) for what in at().values()]

    def places(self, days: list[dt.date]) -> Counter[str]:
        """Return how many of these days each host has made."""
        runs = [self.wide.airflow.find("generate_data", day) for day in days]
        return Counter(self.wide.airflow.tasks(run)[0]["hostname"] for run in runs)

    def is_up(self, name: str) -> bool:
        """Tell whether Airflow hears of a worker."""
        workers = self.wide.airflow.call("GET", "/edge_worker/ui/worker")["workers"]
        states = {each["worker_name"]: each["state"] for each in workers}
        return states.get(name) in ("idle", "running")

    def seconds(self, wanted: list[dt.date]) -> float:
        """Return how long these days took together."""
        started = time.monotonic()
        runs = [self.wide.airflow.trigger("generate_data", day, {}) for day in wanted]
        wait_until(lambda: all(map(self.wide.has_ended, runs)), 600, f"{len(runs)} days are done")
        assert {"success"} == {self.wide.state_of(run) for run in runs}
        return time.monotonic() - started


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    root = tmp_path_factory.mktemp("control")
    hosts = [Host(n, tmp_path_factory.mktemp(f"host{n}"), containerd=n == 2) for n in (1, 2)]
    clone_to(root)
    stack = Stack(root)
    stack.settle("test")
    make_switch()
    try:
        stack.change(WORKERS_PORT=free_port())
        stack.run("scripts/make_env", "--workers", CONTROL)
        stack.run("docker", "compose", "up", "--detach", "--wait")
        port = free_port()
        with serving(build_tools(TOOLS_TAG), port, CONTROL):
            farm = Farm(stack, hosts, f"{CONTROL}:{port}")
            wide = farm.wide
            wide.image = "microstage-test/slow:1"
            wide.build(wide.image)
            for image in (*services(), wide.image):
                docker("tag", image, f"127.0.0.1:{port}/{image}")
                docker("push", "--quiet", f"127.0.0.1:{port}/{image}")
                docker("rmi", f"127.0.0.1:{port}/{image}")
            wide.takes(1)
            wait_until(lambda: wide.is_known("generate_data"))
            for host in hosts:
                host.start()
                env = (root / "worker.env").read_text()
                env = env.replace("WORKER_NAME=", f"WORKER_NAME=host{host.number}")
                (host.clone / ".env").write_text(env.replace("SLOTS=", "SLOTS=3"))
                host.run("scripts/pull_images", farm.registry)
                host.run("docker", "compose", "up", "--detach", "--wait")
            yield farm
    except BaseException:
        for host in hosts:
            with suppress(AssertionError):
                print(host.run("docker", "compose", "logs", "--tail=60", check=False).stdout)
        print(stack.run("docker", "compose", "logs", "--tail=60", check=False).stdout)
        raise
    finally:
        for host in hosts:
            host.stop()
        stack.take_down()
        ip("link", "delete", NET)


def days(number: int, month: int) -> list[dt.date]:
    return [dt.date(2021, month, 1) + dt.timedelta(days=each) for each in range(number)]


def test_a_backfill_is_done_once_while_a_worker_is_killed_and_another_is_cut_off(
    farm: Farm,
) -> None:
    wide, (one, two) = farm.wide, farm.hosts
    wanted = days(64, 1)
    here = wanted[::4]  # the days that the control host has, of a row that has no queue then
    wide.more = ""
    wide.takes(8)
    wait_until(lambda: place(farm) is None)
    wide.airflow.switch_on("generate_data")
    twice: set[str] = set()

    def look() -> None:
        seen = Counter(farm.running())
        twice.update(what for what, number in seen.items() if number > 1)

    with meanwhile(look, 0.5):
        runs = [wide.airflow.trigger("generate_data", day, {}) for day in here]
        wide.more = QUEUE
        wide.takes(8)
        wait_until(lambda: place(farm) == "workers")
        others = (day for day in wanted if day not in here)
        runs += [wide.airflow.trigger("generate_data", day, {}) for day in others]
        wait_until(lambda: len(one.stages()) > 1 and len(two.stages()) > 1)
        one.run("docker", "compose", "kill", "worker")
        time.sleep(10)
        two.cut()
        time.sleep(60)
        two.mend()
        one.run("docker", "compose", "up", "--detach", "worker")
        wait_until(lambda: all(map(wide.has_ended, runs)), 1200, "64 days are done")

    places = farm.places(wanted)
    print(places)
    failed = [run for run in runs if wide.state_of(run) != "success"]
    assert [] == [wide.airflow.reason(run) for run in failed]
    assert set() == twice
    assert {"host1", "host2"} < set(places)
    assert len(here) == sum(n for name, n in places.items() if name not in ("host1", "host2"))
    assert [] == wide.left()
    assert [] == farm.running()
    for day in wanted:
        assert "second 8" in wide.log("generate_data", day, "generate"), day


def test_what_a_second_host_gains_is_told(farm: Farm) -> None:
    """Each host has one core; on a machine of two, Airflow and the workers share them."""
    farm.wide.takes(0, busy=1000)
    two = farm.hosts[1]
    two.run("docker", "compose", "stop", "worker")
    wait_until(lambda: farm.is_up("host1") and not farm.is_up("host2"))
    alone = farm.seconds(days(12, 4))
    two.run("docker", "compose", "start", "worker")
    wait_until(lambda: farm.is_up("host2"))
    both = farm.seconds(days(12, 5))
    print(f"12 days on one host {alone:.0f} s, on two {both:.0f} s: {alone / both:.2f} times")

    assert {"host1": 12} == farm.places(days(12, 4))
    assert {"host1", "host2"} == set(farm.places(days(12, 5)))


def test_a_row_without_a_queue_is_run_where_it_always_was(farm: Farm) -> None:
    farm.wide.more = ""
    farm.wide.takes(1)
    assert QUEUE not in farm.wide.file.read_text()
    day = dt.date(2022, 1, 1)
    wait_until(lambda: place(farm) is None)
    farm.wide.run("generate_data", day)

    assert not {"host1", "host2"} & set(farm.places([day]))
    farm.wide.more = QUEUE
    farm.wide.takes(1)
    wait_until(lambda: place(farm) == "workers")


def place(farm: Farm) -> str | None:
    """Return the queue that Airflow knows of the row by now."""
    dag = farm.wide.airflow.pipeline.prefixed("generate_data")
    task = farm.wide.airflow.call("GET", f"/api/v2/dags/{dag}/tasks/generate")
    return None if task["queue"] == "default" else str(task["queue"])


def test_the_doctor_finds_all_well_and_a_queue_that_nobody_has(farm: Farm) -> None:
    def found() -> str:
        doctor = farm.stack.run("scripts/doctor", check=False)
        return "\n".join(line for line in doctor.stdout.splitlines() if "queue" in line)

    assert "" == found()
    farm.wide.more = 'queue = "nobodys"\n'
    farm.wide.takes(1)
    assert "no worker that is up has its queue, nobodys" in found()
    farm.wide.more = QUEUE
    farm.wide.takes(1)


def test_a_swap_is_refused_until_every_host_of_the_queue_has_the_image(farm: Farm) -> None:
    image = "microstage-test/slow:2"
    farm.wide.build(image, "--label=another=one")
    swap = ["scripts/swap_stage", "generate", image, "--pipeline", "slow"]
    refused = farm.stack.run(*swap, check=False)
    assert 66 == refused.returncode
    assert f"host1, a host of the queue workers, has no {image} of the id" in refused.stderr

    remote = f"127.0.0.1:{farm.registry.rpartition(':')[2]}/{image}"
    docker("tag", image, remote)
    docker("push", "--quiet", remote)
    docker("rmi", remote)
    for host in farm.hosts:
        host.run("scripts/pull_images", farm.registry, image)
    swapped = farm.stack.run(
        *swap, check=False
    )  # what the checks say of this image is their matter

    for host in farm.hosts:
        assert f"host{host.number}, of the queue workers, has it" in swapped.stdout


def test_a_row_whose_gpus_a_host_has_not_says_so(farm: Farm) -> None:
    farm.wide.more = f"{QUEUE}gpus = 1\n"
    farm.wide.takes(1)
    day = dt.date(2022, 1, 2)
    states = farm.wide.run("generate_data", day)

    assert "failed" == states["generate"]
    assert "asks for gpus, and this Docker Engine has none" in farm.wide.log(
        "generate_data", day, "generate"
    )
    assert [] == farm.running()


def test_a_worker_of_another_version_is_refused(farm: Farm) -> None:
    run = ["docker", "compose", "run", "--rm", "--no-deps", "--entrypoint=python3", "worker"]
    done = farm.hosts[0].run(
        *run, "-c", LATER, "edge", "worker", "--edge-hostname=old", check=False
    )

    assert 0 != done.returncode
    assert "ersion" in done.stdout + done.stderr


def test_through_the_gateway_is_what_workers_ask_for_and_nothing_else(farm: Farm) -> None:
    server = f"https://{CONTROL}:{farm.stack.setting('WORKERS_PORT')}"

    def answers(path: str) -> str:
        ask = ["curl", "--silent", "--insecure", "--path-as-is", "--output", "/dev/null"]
        return farm.hosts[0].run(*ask, "--write-out", "%{http_code}", f"{server}{path}").stdout

    assert "200" == answers("/execution/health")
    assert "200" == answers("/edge_worker/v1/health")
    closed = ("/", "/api/v2/version", "/auth/token", "/edge_worker/ui/worker", "/edge_worker/docs")
    around = ("/execution/../api/v2/version", "/api/v2/../../execution/health", "//api/v2/version")
    encoded = ("/%65xecution/health", "/execution/%2e%2e/api/v2/version", "/api%2fv2%2fversion")
    assert {"404"} == {answers(path) for path in (*closed, *around, *encoded)}
