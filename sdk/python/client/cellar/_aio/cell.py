from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Union

from .. import types
from .._follow import Ids, Once
from .._sse import SentEvent
from .._wire import Request, call_of_agent, json_bytes, segment, without_none, words_of
from ..outputs import Output, event_of, output_of_command
from .checkpoints import AsyncCheckpoints
from .core import AsyncCore, AsyncItems, AsyncStream
from .files import AsyncFiles
from .processes import AsyncProcesses, AsyncTerminal
from .runs import AsyncRuns

EXEC_TIMEOUT_MS = 120_000  # of a command that says nothing
TAIL_MAX = 1000


class AsyncCell:
    """A cell. `info` is what was known of it last: each call that answers with the cell renews it."""

    def __init__(self, core: AsyncCore, info: types.Cell) -> None:
        self._core, self.info = core, info
        self.id = info["cell_id"]
        self._path = f"/api/v1/cells/{segment(self.id)}"
        self.files = AsyncFiles(core, self._path)
        self.checkpoints = AsyncCheckpoints(core, self._path)
        self.runs = AsyncRuns(core, self._path)
        self.processes = AsyncProcesses(core, self._path)

    def __repr__(self) -> str:
        return f"<cell {self.id}>"

    # Its life.

    async def get(self) -> types.Cell:
        """Looks what it is now, and what keeps it awake."""
        return self._renewed(await self._core.get(self._path))

    async def pause(self) -> types.Cell:
        return self._renewed(await self._core.post(self._path + "/pause", repeatable=True))

    async def resume(self) -> types.Cell:
        return self._renewed(await self._core.post(self._path + "/resume", repeatable=True))

    async def hibernate(self) -> types.Cell:
        """Ends its processes; what is on disk stays."""
        return self._renewed(await self._core.post(self._path + "/hibernate", repeatable=True))

    async def keep_alive(self, seconds: int) -> types.Cell:
        """It does not pause by itself for so long; 0 takes that back."""
        return self._renewed(await self._core.post(self._path + "/keep-alive", {"seconds": seconds}, repeatable=True))

    async def wake_at(self, at: Optional[str]) -> types.Cell:
        """When it is brought back, such as "2030-01-31T08:00:00Z"; None takes that back."""
        return self._renewed(await self._core.post(self._path + "/wake-at", {"at": at}, repeatable=True))

    async def set_permanent(self, permanent: bool) -> types.Cell:
        return self._renewed(await self._core.post(self._path + "/permanent", {"permanent": permanent}, repeatable=True))

    async def delete(self) -> None:
        """With all its files."""
        await self._core.delete(self._path)

    # Its network and its preview.

    async def network(self) -> types.Network:
        """What it may reach, what it used of it, and what it was refused."""
        return await self._core.get(self._path + "/network")

    async def set_network(self, policy: types.NetworkPolicy) -> types.Network:
        return await self._core.post(self._path + "/network", policy, repeatable=True, method="PUT")

    async def set_preview(self, *, access: Optional[str] = None, port: Optional[int] = None) -> types.Cell:
        """`access`: "private" or "public"; `port`: the default one, 0 for the lowest that somebody listens on."""
        fields = without_none({"access": access, "port": port})
        return self._renewed(await self._core.post(self._path + "/preview", fields, repeatable=True))

    async def preview_link(
        self, *, port: Optional[int] = None, expires_in_s: Optional[int] = None
    ) -> types.CreatePreviewLinkAnswer:
        """A signed link: whoever opens it sees the preview."""
        fields = without_none({"port": port, "expires_in_s": expires_in_s})
        return await self._core.post(self._path + "/preview-links", fields, repeatable=True)

    # Its agent.

    async def request(
        self, method: str, params: Any = None, *, idempotency_key: Optional[str] = None, timeout_s: Optional[float] = None
    ) -> Any:
        """Calls a method of the agent: its return value. It is one durable run, however often the call had to be sent.

        Without `timeout_s` it waits as long as the method takes. Who stops waiting does not cancel the run.
        """
        return await self._core.value(self._call(method, params, idempotency_key, timeout_s))

    def stream(
        self, method: str, params: Any = None, *, idempotency_key: Optional[str] = None, timeout_s: Optional[float] = None,
        view: Optional[str] = None
    ) -> AsyncItems:
        """Calls a method of the agent: what it streams, and its return value as the last item.

        `timeout_s`: how long the first item may take. `view`: "committed" for only what no later attempt of a step takes back.
        """
        return AsyncItems(self._core, self._call(method, params, idempotency_key, timeout_s, view))

    def events(
        self, *, after: Optional[int] = None, tail: Optional[int] = None, types: Union[str, Sequence[str], None] = None,
        view: Optional[str] = None
    ) -> AsyncStream[types.Event]:
        """What happens in it and to it, for as long as it is there; it wakes nobody.

        `after`: behind this `seq`. `tail`: begin with the newest so many. `types`: such as ["cell.*", "run.completed"],
        or as one text with commas.
        `view`: "committed" for only what can never be thrown away again. Where what followed is not kept any more, an event
        of the type "stale" comes first.
        """
        names = types if types is None or isinstance(types, str) else ",".join(types)
        if tail is not None and after is None:
            return AsyncTail(self._core, self._path + "/events", tail, {"types": names, "view": view})
        query = {"after": after, "types": names, "view": view}
        request = Request("GET", self._path + "/events", query=query, repeatable=True,
                          timeout_s=self._core.timeout_s)
        return AsyncStream(self._core, Ids(request), event_of)

    # Commands.

    async def exec(
        self,
        cmd: Union[str, Sequence[str]],
        *,
        cwd: Optional[str] = None,
        env: Optional[Dict[str, str]] = None,
        stdin: Optional[str] = None,
        timeout_ms: Optional[int] = None,
        limits: Optional[types.ExecLimits] = None,
    ) -> types.ExecResult:
        """Runs a command: a line for /bin/sh, or words. A command that fails is no error: look at `exit_code`."""
        fields = exec_fields(cmd, cwd, env, stdin, timeout_ms, limits)
        more_s = (timeout_ms or EXEC_TIMEOUT_MS) / 1000
        return await self._core.post(self._path + "/exec", fields, repeatable=False, more_s=more_s)

    def exec_stream(
        self,
        cmd: Union[str, Sequence[str]],
        *,
        cwd: Optional[str] = None,
        env: Optional[Dict[str, str]] = None,
        stdin: Optional[str] = None,
        timeout_ms: Optional[int] = None,
        limits: Optional[types.ExecLimits] = None,
    ) -> AsyncStream[Output]:
        """Runs a command, and tells what it writes. Who leaves ends it; so does a connection that breaks."""
        body = json_bytes(exec_fields(cmd, cwd, env, stdin, timeout_ms, limits))
        request = Request("POST", self._path + "/exec", body=body, is_json=True, timeout_s=self._core.timeout_s)
        return AsyncStream(self._core, Once(request, ("exit", "error")), output_of_command)

    def terminal(
        self,
        cmd: Union[str, Sequence[str], None] = None,
        *,
        columns: int = 80,
        rows: int = 24,
        cwd: Optional[str] = None,
        env: Optional[Dict[str, str]] = None,
    ) -> AsyncTerminal:
        """A program at a terminal, a login shell where there is no `cmd`; use it with `async with`, which ends it."""
        fields = without_none({"cmd": cmd if cmd is None else words_of(cmd), "cwd": cwd, "env": env,
                               "terminal": {"columns": columns, "rows": rows}})
        return AsyncTerminal(self._core, self.processes, fields)

    async def diff(
        self,
        from_: Optional[str] = None,
        to: Optional[str] = None,
        *,
        path: Optional[str] = None,
        all: bool = False,
        names: bool = False,
        limit: Optional[int] = None,
    ) -> types.Diff:
        """What differs between a checkpoint, by id or name (the newest one), and another one (or now)."""
        query = {"from": from_, "to": to, "path": path, "all": 1 if all else None, "names": 1 if names else None, "limit": limit}
        return await self._core.get(self._path + "/diff", query)

    # Search.

    async def search(
        self,
        query: str,
        *,
        limit: Optional[int] = None,
        mode: Optional[str] = None,
        paths: Optional[List[str]] = None,
        languages: Optional[List[str]] = None,
        chunks_per_file: Optional[int] = None,
    ) -> types.SearchAnswer:
        """The best places in /work, best first. `mode`: "auto", "semantic", "lexical" or "regex"."""
        fields = without_none({"query": query, "limit": limit, "mode": mode, "paths": paths, "languages": languages,
                               "chunks_per_file": chunks_per_file})
        return await self._core.post(self._path + "/search", fields, repeatable=True)

    async def search_symbols(self, query: str, *, limit: Optional[int] = None) -> types.SearchSymbolsAnswer:
        """Where a name is defined."""
        fields = without_none({"query": query, "limit": limit})
        return await self._core.post(self._path + "/search/symbols", fields, repeatable=True)

    async def search_status(self) -> types.SearchStatus:
        return await self._core.get(self._path + "/search/status")

    async def search_add(self, path: str, text: str) -> None:
        """Adds a document beside the files, or replaces it."""
        await self._core.post(self._path + "/search/index", {"path": path, "text": text}, repeatable=True)

    async def search_remove(self, path: str) -> types.RemoveSearchDocumentAnswer:
        return await self._core.post(self._path + "/search/remove", {"path": path}, repeatable=True)

    def _call(
        self, method: str, params: Any, key: Optional[str], timeout_s: Optional[float], view: Optional[str] = None
    ) -> Request:
        body = {"method": method} if params is None else {"method": method, "params": params}
        return call_of_agent(self._path + "/request", body, method, key, timeout_s, view=view)

    def _renewed(self, info: types.Cell) -> types.Cell:
        self.info = info
        return info


class AsyncTail(AsyncStream[types.Event]):
    """Begins with a list, as only that says where it ends: a stream that breaks before its first event has no place to go on."""

    def __init__(self, core: AsyncCore, path: str, tail: int, query: Dict[str, Any]) -> None:
        self._query = {**query, "tail": tail, "limit": TAIL_MAX}
        request = Request("GET", path, query=query, repeatable=True, timeout_s=core.timeout_s)
        self._ids = Ids(request)
        self._is_listed = False
        super().__init__(core, self._ids, event_of)

    async def _read(self) -> None:
        if self._is_listed:
            await super()._read()
            return
        answer = await self._core.get(self._follow.request.path, self._query)
        self._is_listed = True
        self._ids.begin_after(answer["last_seq"])
        for event in answer["events"]:
            self._ready.append(SentEvent(str(event["seq"]), event["type"], json_bytes(event).decode()))


def exec_fields(
    cmd: Union[str, Sequence[str]],
    cwd: Optional[str],
    env: Optional[Dict[str, str]],
    stdin: Optional[str],
    timeout_ms: Optional[int],
    limits: Optional[types.ExecLimits],
) -> Dict[str, Any]:
    return without_none({"cmd": words_of(cmd), "cwd": cwd, "env": env, "stdin": stdin,
                         "timeout_ms": timeout_ms, "limits": limits})
