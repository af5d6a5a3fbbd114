"""Calls and streams: requests sent, sent again where that is safe, and streams read over as many connections as it takes."""
from __future__ import annotations

import collections
import json
import ssl
import time
from typing import Any, AsyncIterator, Callable, Deque, Generic, Mapping, NamedTuple, Optional, TypeVar

from .. import _retry, errors
from .._follow import Again, Once
from .._sse import SentEvent
from .._wire import STREAM_IDLE_S, Query, Request, json_bytes, json_of, settings_of
from .transport import AsyncAnswer, AsyncTransport, sleep

T = TypeVar("T")


class Whole(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class AsyncCore:
    """What all resources of a client share."""

    def __init__(
        self,
        base_url: Optional[str],
        api_key: Optional[str],
        timeout_s: Optional[float],
        retries: int,
        ssl_context: Optional[ssl.SSLContext],
    ) -> None:
        address, key = settings_of(base_url, api_key)
        self.transport = AsyncTransport(address, key, ssl_context)
        self.timeout_s, self.retries = timeout_s, retries

    async def get(self, path: str, query: Optional[Query] = None, *, more_s: Optional[float] = 0.0) -> Any:
        return await self.json(Request("GET", path, query=query or {}, repeatable=True, timeout_s=self.time_for(more_s)))

    async def post(
        self, path: str, body: Any = None, *, repeatable: bool, is_durable: bool = False, method: str = "POST",
        more_s: Optional[float] = 0.0
    ) -> Any:
        """With `body` as JSON, where there is one. `more_s`: what the server may take beside; None: any time."""
        data = None if body is None else json_bytes(body)
        return await self.json(Request(method, path, body=data, is_json=data is not None, repeatable=repeatable,
                                       is_durable=is_durable, timeout_s=self.time_for(more_s)))

    def time_for(self, more_s: Optional[float]) -> Optional[float]:
        return None if self.timeout_s is None or more_s is None else self.timeout_s + more_s

    async def delete(self, path: str) -> None:
        await self.fetch(Request("DELETE", path, repeatable=True, timeout_s=self.timeout_s))

    async def json(self, request: Request) -> Any:
        return json_of((await self.fetch(request)).body)

    async def fetch(self, request: Request) -> Whole:
        """The whole answer, from as many tries as are safe."""
        tries = _retry.Tries(self.retries)
        while True:
            began = time.monotonic()
            error: errors.CellarError
            try:
                return await self.once(request)
            except errors.CellarError as failure:
                error = failure
            if _retry.is_done_already(request, error, tries):
                return Whole(204, {}, b"")
            pause = tries.after(request, error, time.monotonic() - began)
            if pause is None:
                raise error
            await sleep(pause)

    async def once(self, request: Request) -> Whole:
        """The whole answer of one try."""
        answer = await self.open(request)
        return Whole(answer.status, answer.headers, await answer.read())

    async def open(self, request: Request) -> AsyncAnswer:
        """One try; the answer's body is not read yet. Raises what the answer is, where it is an error."""
        answer = await self.transport.open(request)
        if answer.status < 300 or answer.status == 304:
            return answer
        raise errors.error_of(answer.status, answer.headers, await answer.read(), of_agent=request.of_agent)

    async def value(self, request: Request) -> Any:
        """The answer of an agent's method. Of one that streams, the last item."""
        follow = Again(request)
        value = None
        while True:
            whole = await self.fetch(follow.next_request())
            if not is_stream(whole.headers):
                return json_of(whole.body)
            follow.opened(whole.headers)
            for event in follow.feed(whole.body):
                value = item_of(follow, event)
            pause = follow.ended()
            if pause is None:
                return value
            await sleep(pause)


class AsyncStream(Generic[T]):
    """An iterator over what a stream tells. Leave it with `async with`, `aclose()`, or read it to its end."""

    def __init__(self, core: AsyncCore, follow: Once, decode: Callable[[SentEvent], T]) -> None:
        self._core, self._follow, self._decode = core, follow, decode
        follow.tries.retries = core.retries
        self._answer: Optional[AsyncAnswer] = None
        self._ready: Deque[SentEvent] = collections.deque()

    def __aiter__(self) -> "AsyncStream[T]":
        return self

    async def __anext__(self) -> T:
        while not self._ready:
            if self._follow.is_over:
                await self.aclose()
                raise StopAsyncIteration
            await self._read()
        try:
            return self._decode(self._ready.popleft())
        except BaseException:
            await self.aclose()
            raise

    async def __aenter__(self) -> "AsyncStream[T]":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leaves the stream. What it is about goes on, but a command of `exec_stream`."""
        self._follow.is_over = True
        self._ready.clear()
        await self._drop()

    async def _read(self) -> None:
        """The next piece, from another connection where it must be."""
        pause: Optional[float] = None
        began = time.monotonic()
        try:
            if self._answer is None:
                self._answer = await self._core.open(self._follow.next_request())
                if not is_stream(self._answer.headers):
                    await self._take_whole(self._answer)
                    return
                self._follow.opened(self._answer.headers)
            chunk = await self._answer.read_some(STREAM_IDLE_S)
            if chunk:
                self._ready.extend(self._follow.feed(chunk))
            else:
                await self._drop()
                pause = self._follow.ended()
        except errors.CellarError as error:
            await self._drop()
            pause = self._follow.failed(error, time.monotonic() - began)
        except BaseException:
            await self._drop()
            raise
        if pause is not None:
            await sleep(pause)

    async def _take_whole(self, answer: AsyncAnswer) -> None:
        """The answer is no stream."""
        raise errors.InternalError(f"the server sent no event stream, but {answer.headers.get('content-type')!r}")

    async def _drop(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            await answer.aclose()


class AsyncItems(AsyncStream[Any]):
    """What a method of the agent streams, its return value at last. After a break the same call is made with the same
    key: the run is the same, and what was given already is left out."""

    def __init__(self, core: AsyncCore, request: Request) -> None:
        self._again = Again(request)
        super().__init__(core, self._again, lambda event: item_of(self._again, event))

    @property
    def run(self) -> Optional[str]:
        """The id of its run, once it has answered; None where Cellar answered itself."""
        return self._follow.headers.get("x-cellar-run")

    async def _take_whole(self, answer: AsyncAnswer) -> None:
        """A method that does not stream has one item."""
        body = await answer.read()
        self._follow.headers = answer.headers
        self._follow.is_over = True
        self._ready.append(SentEvent(None, "message", body.decode() or "null"))


class AsyncPages(Generic[T]):
    """An iterator over all items of a list, which asks for one page after the other."""

    def __init__(self, load: Callable[[Optional[str]], Any], decode: Callable[[Any], T]) -> None:
        self._load, self._decode = load, decode

    async def __aiter__(self) -> AsyncIterator[T]:
        cursor: Optional[str] = None
        while True:
            items, cursor = await self._load(cursor)
            for item in items:
                yield self._decode(item)
            if cursor is None:
                return


def item_of(follow: Again, event: SentEvent) -> Any:
    failure = follow.failure_in(event)
    if failure is not None:
        raise failure
    return json.loads(event.data)


def is_stream(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").startswith("text/event-stream")
