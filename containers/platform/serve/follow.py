"""Serve what is in production, and change over when that changes: load, try, exchange."""

import sys
import time
from functools import partial
from typing import Any, Protocol

from faults import AwayError, RefusedError
from kept import Kept
from registry import Registry, title_of
from served import Served


class Service(Protocol):
    """What predicts."""

    served: Served | None
    why: str


class Follower:
    """Looks after one model."""

    def __init__(self, name: str, registry: Registry, kept: Kept, service: Service) -> None:
        self._name, self._registry, self._kept, self._service = name, registry, kept, service
        self._refused: tuple[dict[str, Any], str] = ({}, "")

    def follow(self, seconds: float) -> None:
        """Look every so many seconds, without end."""
        while True:
            self.look()
            time.sleep(seconds)

    def look(self) -> None:
        """Bring what is served to what is in production; what cannot be is said."""
        try:
            self._look()
        except RefusedError as error:
            self._go_on(f"{error}")
        except AwayError as error:
            self._go_on(f"{error}: what is served may not be what is in production")
        except Exception as error:  # such as a full disk: it goes on, and tries again
            self._go_on(f"What is in production cannot be got: {error}")

    def _look(self) -> None:
        served, wanted = self._service.served, self._registry.production()
        if wanted is None:
            self._say(
                f"There is no model of the name {self._name} in production: approve one in the "
                "DAG train_model"
            )
            self._service.served = None
        elif served and wanted == served.told:
            self._say("")
        elif wanted == self._refused[0]:
            raise RefusedError(self._refused[1])
        else:
            self._change(wanted)

    def _go_on(self, sentence: str) -> None:
        """Go on with what there is, which is the copy here after a start."""
        copy = None if self._service.served else self._kept.read(self._name)
        if copy:
            try:
                self._service.served = Served(*copy)
                print(f"{title_of(copy[1])} is served from the copy here", flush=True)
            except RefusedError as error:
                sentence = f"{sentence}; {error}"
        self._say(sentence)

    def _change(self, wanted: dict[str, Any]) -> None:
        """Serve a version, beside which the one before answers until then."""
        copy = self._kept.read(self._name)
        try:
            if copy and copy[1] == wanted:
                self._service.served = Served(*copy)
            else:
                folder = self._kept.add(wanted, partial(self._registry.download, wanted))
                try:
                    served = Served(folder, wanted)
                    self._kept.keep(folder)
                except BaseException:
                    self._kept.drop(folder)
                    raise
                self._service.served = served
        except RefusedError as error:
            self._refused = wanted, f"{error}"
            raise
        print(f"{title_of(wanted)} is served", flush=True)
        self._say("")

    def _say(self, sentence: str) -> None:
        """Let who asks know why what is served is not what is in production; "" for all is well."""
        if sentence and sentence != self._service.why:
            print(sentence, file=sys.stderr, flush=True)
        self._service.why = sentence
