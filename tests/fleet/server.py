"""HTTP on loopback: one thread and one loop for all services and instances, fast enough to be no one's bottleneck."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from .account import Account
from .answers import Answer, text
from .metadata import Metadata
from .services import Services

T = TypeVar("T")
_BACKLOG = 4096
_PRIORITY = -15


class Server:
    """Answers from its start to its `stop`."""

    def __init__(self, account: Account) -> None:
        self._services, self._metadata, self._account = Services(account), Metadata(account), account
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="aws", daemon=True)
        self._thread.start()
        # How many seconds of a processor it took.
        self.cpu = 0.0
        # Each instance has a metadata service of its own: a thousand agents on two cores must not starve the one of all.
        self.do(lambda: os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _PRIORITY))
        started = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=_BACKLOG), self._loop)
        self._server = started.result()
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        asyncio.run_coroutine_threadsafe(self._settle(), self._loop)

    def do(self, work: Callable[[], T]) -> T:
        """Does it on the account's own thread."""
        done: Future[T] = Future()
        self._loop.call_soon_threadsafe(lambda: done.set_result(work()))
        return done.result()

    def stop(self) -> None:
        """No more answers."""
        self.cpu = self.do(lambda: time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID))
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _settle(self) -> None:
        """A hook's time runs out when it does, not when somebody asks."""
        while True:
            await asyncio.sleep(1)
            self._account.lifecycle.settle()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode("latin-1").split("\r\n")
                method, target, _ = first.split(" ", 2)
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                answer = self._answer(method, target.partition("?")[0], headers, body)
                writer.write(_bytes(answer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if path == "/":
            return self._services.answer(headers, body)
        return self._metadata.answer(method, path, headers) or text(404, "not found")


def _bytes(answer: Answer) -> bytes:
    head = f"HTTP/1.1 {answer.status} {'OK' if answer.status < 400 else 'NO'}\r\nContent-Type: {answer.kind}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    head += f"Content-Length: {len(answer.body)}\r\nx-amzn-RequestId: fleet\r\n\r\n"
    return head.encode() + answer.body
