"""What all tests of the DAGs share."""

import time
import uuid
from collections.abc import Callable
from typing import Any

IMAGE = "microstage/test-stage:1"
DAY = "2013-01-06"
INSTALL = f"test-{uuid.uuid4().hex[:12]}"


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Wait until the condition holds; return what it returned."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found
