from __future__ import annotations

import math
import time
import uuid
from typing import Any, Optional, Tuple, Union

from .. import _retry, errors, types
from .._follow import Ids
from .._wire import Request, json_bytes, json_of, segment, without_none
from ..outputs import event_of
from .core import AsyncCore, AsyncPages, AsyncStream
from .transport import sleep

AWAIT_S = 45  # of one call; more are made as long as it takes
_TRIAL_S = 60.0  # that a trial of another version may take
ENDED = ("completed", "failed", "cancelled", "paused")
LAST = ("run.completed", "run.failed", "run.cancelled")


class AsyncRuns:
    """Durable runs of the agent's methods."""

    def __init__(self, core: AsyncCore, cell_path: str) -> None:
        self._core, self._path = core, cell_path + "/runs"

    async def start(self, method: str, params: Any = None, *, idempotency_key: Optional[str] = None) -> types.RunDetail:
        """Begins a run and does not wait for it. It is on disk when this returns."""
        body = {"method": method} if params is None else {"method": method, "params": params}
        return await self._begin(self._path, body, idempotency_key)

    def list(self, *, limit: Optional[int] = None) -> AsyncPages[types.Run]:
        """All runs, the newest first. `limit`: so many are asked for at a time."""
        async def load(cursor: Optional[str]) -> Tuple[Any, Optional[str]]:
            answer = await self._core.get(self._path, {"limit": limit, "cursor": cursor})
            return answer["runs"], answer.get("next_cursor")
        return AsyncPages(load, lambda run: run)

    async def get(self, run: str, *, view: Optional[str] = None) -> types.RunDetail:
        """One run with its steps. `view`: "committed" for those only that are never executed again."""
        return await self._core.get(self._of(run), {"view": view})

    async def await_(self, run: str, *, timeout_s: Optional[float] = None, view: Optional[str] = None) -> types.RunDetail:
        """Waits until it is completed, failed, cancelled or paused. What it is by then, also where the time is over; None: no
        limit. A daemon that is started again meanwhile is waited for as long as a stream is opened again."""
        end = math.inf if timeout_s is None else time.monotonic() + timeout_s
        tries = _retry.Tries(self._core.retries)
        while True:
            began = time.monotonic()
            left = max(0, math.ceil(min(AWAIT_S, end - began)))
            # Each time with what is left of the time, so that it is tried again here.
            request = Request("GET", self._of(run) + "/await", query={"timeout": left, "view": view}, repeatable=True,
                              is_durable=True, timeout_s=self._core.time_for(left))
            try:
                found: types.RunDetail = json_of((await self._core.once(request)).body)
            except errors.CellarError as error:
                is_silent = isinstance(error, errors.TimeoutError)  # Nobody is at the other end of that poll any more.
                failure = errors.ConnectionError(str(error)) if is_silent else error
                pause = tries.after(request, failure, 0.0 if is_silent else time.monotonic() - began)
                if pause is None or time.monotonic() >= end:
                    raise
            else:
                if found["status"] in ENDED or time.monotonic() >= end:
                    return found
                tries.heard()
                pause = 0.0
            await sleep(max(0.0, min(pause, end - time.monotonic())))

    def events(self, run: str, *, after: Optional[int] = None, view: Optional[str] = None) -> AsyncStream[types.Event]:
        """Its events, until its end; each once, over as many connections as it takes. `view`: "committed" for only what can
        never be thrown away again."""
        request = Request("GET", self._of(run) + "/events", query={"after": after, "view": view}, repeatable=True,
                          timeout_s=self._core.timeout_s)
        return AsyncStream(self._core, Ids(request, LAST, may_end_silently=True), event_of)

    async def pause(self, run: str) -> types.RunDetail:
        return await self._core.post(self._of(run) + "/pause", repeatable=False)

    async def resume(self, run: str, *, step: Optional[Any] = None, upgrade: Optional[bool] = None) -> types.RunDetail:
        """`step`: {"decision": "retry", "fail" or "value", "value"?} of a step nobody knows the end of."""
        fields = without_none({"step": step, "upgrade": upgrade})
        return await self._core.post(self._of(run) + "/resume", fields, repeatable=False, more_s=_TRIAL_S if upgrade else 0.0)

    async def cancel(self, run: str, *, grace_ms: Optional[int] = None, rollback: Optional[bool] = None) -> types.RunDetail:
        """Returns when it has ended. `rollback`: the rollbacks of its steps are executed first, however long they take."""
        fields = without_none({"grace_ms": grace_ms, "rollback": rollback})
        more_s = None if rollback else (grace_ms or 1000) / 1000
        return await self._core.post(self._of(run) + "/cancel", fields, repeatable=False, more_s=more_s)

    async def approve(
        self, run: str, approved: bool = True, *, step: Optional[str] = None, by: Optional[str] = None, comment: Optional[str] = None
    ) -> types.RunDetail:
        """Answers a run that waits for an approval, with no as well: `approved=False`."""
        fields = without_none({"approved": approved, "step": step, "by": by, "comment": comment})
        return await self._core.post(self._of(run) + "/approve", fields, repeatable=False)

    async def replay(self, run: str, *, agent: Optional[str] = None, agent_language: Optional[str] = None) -> types.ReplayRunAnswer:
        """Tries it with another version of the agent: no step is executed, and nothing of it changes."""
        fields = without_none({"agent": agent, "agent_language": agent_language})
        return await self._core.post(self._of(run) + "/replay", fields, repeatable=True, more_s=_TRIAL_S)

    async def restart(
        self, run: str, *, from_: Union[str, int, None] = None, from_end: Optional[bool] = None, upgrade: Optional[bool] = None,
        idempotency_key: Optional[str] = None
    ) -> types.RunDetail:
        """A new run like this one: from its beginning, from a step (its name, or its ordinal), or with `from_end` behind all that
        is recorded. With `upgrade` it is on the cell's agent of today, where that fits what is recorded."""
        fields = without_none({"from": from_, "from_end": from_end, "upgrade": upgrade})
        return await self._begin(self._of(run) + "/restart", fields, idempotency_key, _TRIAL_S if upgrade else 0.0)

    async def send_event(self, run: str, type: str, payload: Any = None, *, id: Optional[str] = None) -> types.SendEventAnswer:
        """For `ctx.waitForEvent`. An `id` that the run got already changes nothing; without one it has an id of its own, so
        that it is taken once, however often it had to be sent (`duplicate` is true then)."""
        fields = without_none({"id": uuid.uuid4().hex if id is None else id, "type": type, "payload": payload})
        return await self._core.post(self._of(run) + "/events", fields, repeatable=True, is_durable=True)

    async def _begin(self, path: str, body: Any, idempotency_key: Optional[str], more_s: float = 0.0) -> types.RunDetail:
        key = uuid.uuid4().hex if idempotency_key is None else idempotency_key
        return await self._core.json(Request("POST", path, body=json_bytes(body), is_json=True, repeatable=True,
                                             is_durable=True, headers={"Idempotency-Key": key},
                                             timeout_s=self._core.time_for(more_s)))

    def _of(self, run: str) -> str:
        return f"{self._path}/{segment(run)}"
