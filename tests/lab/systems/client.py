"""Somebody outside who asks all along: what a change costs those who use a system."""

import threading
import time
import urllib.error
import urllib.request
from typing import List

_PAUSE = 0.05
# An answer that comes late on a busy machine is an answer.
_PATIENCE = 60


class Client:
    """Asks an address again and again while it is entered, and counts what was no answer."""

    def __init__(self, url: str):
        self.answered = 0
        self.refused = 0
        # Each span in which nobody answered, from its first refusal to the answer after it.
        self._spans: List[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(url,))

    def __enter__(self) -> "Client":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        """How long there was no answer, in sum."""
        return sum(self._spans)

    def _ask(self, url: str) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        since = None
        while not self._stop.wait(_PAUSE):
            began = time.monotonic()
            try:
                with opener.open(url, timeout=_PATIENCE) as answer:
                    answer.read()
                self.answered += 1
                if since is not None:
                    self._spans.append(time.monotonic() - since)
                    since = None
            except (OSError, urllib.error.HTTPError):
                self.refused += 1
                since = since if since is not None else began
        if since is not None:
            self._spans.append(time.monotonic() - since)
