from __future__ import annotations

from typing import List, Optional

from .. import types
from .._wire import segment, without_none
from .core import AsyncCore


class AsyncCheckpoints:
    """States of the cell that are kept."""

    def __init__(self, core: AsyncCore, cell_path: str) -> None:
        self._core, self._path = core, cell_path + "/checkpoints"

    async def create(self, name: Optional[str] = None, *, message: Optional[str] = None) -> types.Checkpoint:
        """Keeps files, database and place in the journal as they are now. Durable when it returns."""
        return await self._core.post(self._path, without_none({"name": name, "message": message}), repeatable=False)

    async def list(self) -> List[types.Checkpoint]:
        """All of them, the newest first."""
        return (await self._core.get(self._path))["checkpoints"]

    async def get(self, checkpoint: str) -> types.Checkpoint:
        """By id or name."""
        return await self._core.get(f"{self._path}/{segment(checkpoint)}")

    async def delete(self, checkpoint: str) -> None:
        await self._core.delete(f"{self._path}/{segment(checkpoint)}")
