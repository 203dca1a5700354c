"""One running stack for all end-to-end tests: a clone of its own, with its own name and ports."""

import os
import re
from collections.abc import Iterator

import pytest
from stack import Stack, clone_to, free_port


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("clone")
    clone_to(root)
    clone = Stack(root, "")
    clone.run("scripts/make_env")
    env = root / ".env"
    settings = {
        "COMPOSE_PROJECT_NAME": f"microstage-test-{os.getpid()}",
        "AIRFLOW_PORT": free_port(),
    }
    text = env.read_text()
    for name, value in settings.items():
        text = re.sub(rf"(?m)^{name}=.*$", f"{name}={value}", text)
    env.write_text(text)
    try:
        yield Stack(root, clone.run("scripts/demo").stdout)
    except BaseException:
        print(clone.run("docker", "compose", "logs", "--tail=60", check=False).stdout)
        raise
    finally:
        clone.run("docker", "compose", "down", "--volumes", "--remove-orphans", check=False)
