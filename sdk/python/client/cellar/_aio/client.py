from __future__ import annotations

import ssl
from typing import Any, Dict, List, Optional, Tuple

from .. import types
from .._retry import RETRIES
from .._wire import DEFAULT_TIMEOUT_S, Request, call_of_agent, segment, without_none
from .cell import AsyncCell
from .core import AsyncCore, AsyncItems, AsyncPages


class AsyncCellar:
    """A client of one daemon.

    `base_url` and `api_key` are those of the environment where they are not given: CELLAR_URL, CELLAR_API_KEY. `timeout_s` is
    the time that a call has, each time that it is sent; None: no limit. What is safe to send again is, `retries` times.
    `ssl_context` is for https; the default one trusts what the system trusts.
    """

    def __init__(
        self,
        base_url: Optional[str] = None,
        api_key: Optional[str] = None,
        *,
        timeout_s: Optional[float] = DEFAULT_TIMEOUT_S,
        retries: int = RETRIES,
        ssl_context: Optional[ssl.SSLContext] = None,
    ) -> None:
        self._core = AsyncCore(base_url, api_key, timeout_s, retries, ssl_context)
        self.cells = AsyncCells(self._core)
        self.domains = AsyncDomains(self._core)
        self.agents = AsyncAgents(self._core)

    async def __aenter__(self) -> "AsyncCellar":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes its idle connections."""
        await self._core.transport.aclose()

    def cell(self, cell_id: str) -> AsyncCell:
        """The cell of this id, without asking whether it is there: its `info` holds nothing else before it answered."""
        return AsyncCell(self._core, {"cell_id": cell_id})  # type: ignore[typeddict-item]

    async def health(self) -> types.GetHealthAnswer:
        return await self._core.get("/healthz")

    async def tiers(self) -> List[types.Tier]:
        """The sizes a cell can have."""
        return (await self._core.get("/api/v1/cells/tiers"))["tiers"]


class AsyncCells:
    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def create(
        self,
        customer_id: str,
        *,
        tier: Optional[str] = None,
        permanent: Optional[bool] = None,
        image: Optional[str] = None,
        runtime: Optional[str] = None,
        agent: Optional[str] = None,
        agent_language: Optional[str] = None,
        secrets: Optional[Dict[str, str]] = None,
        allow: Optional[List[str]] = None,
        network: Optional[types.NetworkPolicy] = None,
        idle_timeout_s: Optional[int] = None,
        max_awake_s: Optional[int] = None,
        run_retention_s: Optional[int] = None,
        file_events: Optional[bool] = None,
        preview_access: Optional[str] = None,
        preview_port: Optional[int] = None,
        **more: Any,
    ) -> AsyncCell:
        """The cell of a customer: made, or the one that there is, with the agent, secrets and settings of this call.

        `agent` is its source. `more`: fields of the API that this version does not know.
        """
        fields = without_none({
            "customer_id": customer_id, "tier": tier, "permanent": permanent, "image": image, "runtime": runtime, "agent": agent,
            "agent_language": agent_language, "secrets": secrets, "allow": allow, "network": network,
            "idle_timeout_s": idle_timeout_s, "max_awake_s": max_awake_s, "run_retention_s": run_retention_s,
            "file_events": file_events, "preview_access": preview_access, "preview_port": preview_port, **more})
        return AsyncCell(self._core, await self._core.post("/api/v1/cells", fields, repeatable=True))

    get_or_create = create  # the same call, for whoever reads it

    async def get(self, cell_id: str) -> AsyncCell:
        return AsyncCell(self._core, await self._core.get(f"/api/v1/cells/{segment(cell_id)}"))

    def list(self, *, limit: Optional[int] = None) -> AsyncPages[AsyncCell]:
        """All cells, the oldest first. `limit`: so many are asked for at a time."""
        async def load(cursor: Optional[str]) -> Tuple[Any, Optional[str]]:
            answer = await self._core.get("/api/v1/cells", {"limit": limit, "cursor": cursor})
            return answer["cells"], answer.get("next_cursor")
        return AsyncPages(load, lambda fields: AsyncCell(self._core, fields))

    async def delete(self, cell_id: str) -> None:
        """With all its files."""
        await self._core.delete(f"/api/v1/cells/{segment(cell_id)}")


class AsyncAgents:
    """Methods of agents, by customer."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def call(
        self,
        method: str,
        params: Any = None,
        *,
        customer_id: str,
        idempotency_key: Optional[str] = None,
        timeout_s: Optional[float] = None,
    ) -> Any:
        """What `cell.request` of the customer's cell gives."""
        return await self._core.value(self._request(method, params, customer_id, idempotency_key, timeout_s))

    def stream(
        self,
        method: str,
        params: Any = None,
        *,
        customer_id: str,
        idempotency_key: Optional[str] = None,
        timeout_s: Optional[float] = None,
        view: Optional[str] = None,
    ) -> AsyncItems:
        """What `cell.stream` of the customer's cell gives."""
        return AsyncItems(self._core, self._request(method, params, customer_id, idempotency_key, timeout_s, view))

    def _request(
        self, method: str, params: Any, customer_id: str, key: Optional[str], timeout_s: Optional[float], view: Optional[str] = None
    ) -> Request:
        headers = {"X-Customer-ID": customer_id}
        body = {} if params is None else params
        return call_of_agent(f"/api/v1/agents/{segment(method)}", body, method, key, timeout_s, headers, view)


class AsyncDomains:
    """Names of customers' own for previews."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def list(self) -> List[types.Domain]:
        return (await self._core.get("/api/v1/domains"))["domains"]

    async def add(self, domain: str, cell_id: str) -> types.Domain:
        return await self._core.post("/api/v1/domains", {"domain": domain, "cell_id": cell_id}, repeatable=False)

    async def get(self, domain: str) -> types.Domain:
        return await self._core.get(self._path(domain))

    async def reassign(self, domain: str, cell_id: str) -> types.Domain:
        """It leads to another cell from now on."""
        return await self._core.post(self._path(domain), {"cell_id": cell_id}, repeatable=True, method="PATCH")

    async def remove(self, domain: str) -> None:
        await self._core.delete(self._path(domain))

    async def verify(self, domain: str) -> types.VerifyDomainAnswer:
        """Looks in DNS whether it is yours."""
        return await self._core.post(self._path(domain) + "/verify", repeatable=True)

    async def provision_ssl(self, domain: str) -> types.ProvisionSslAnswer:
        """Says that TLS is ended before the daemon."""
        return await self._core.post(self._path(domain) + "/provision-ssl", repeatable=True)

    def _path(self, domain: str) -> str:
        return f"/api/v1/domains/{segment(domain)}"
