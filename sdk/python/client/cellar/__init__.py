"""A client of Cellar for applications: `Cellar` for threads that wait, `AsyncCellar` for asyncio, with the same calls.

    with Cellar() as cellar:
        cell = cellar.cells.create("alice", agent=source)
        for item in cell.stream("fix", {"issue": 7}):
            print(item)
"""
from . import errors, types
from ._aio.cell import AsyncCell
from ._aio.client import AsyncCellar
from ._aio.core import AsyncStream
from ._aio.processes import AsyncAttachment, AsyncTerminal
from ._sync.cell import Cell
from ._sync.client import Cellar
from ._sync.core import Stream
from ._sync.processes import Attachment, Terminal
from ._version import VERSION as __version__
from .errors import (
    AgentError,
    CellarError,
    ConflictError,
    ConnectionError,
    ExhaustedError,
    ForbiddenError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    PreconditionFailedError,
    RateLimitedError,
    TimedOutError,
    TimeoutError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)
from .outputs import FileContent, FileEvent, Output

__all__ = [
    "AgentError", "AsyncAttachment", "AsyncCell", "AsyncCellar", "AsyncStream", "AsyncTerminal", "Attachment", "Cell",
    "Cellar", "CellarError", "ConflictError", "ConnectionError", "ExhaustedError", "FileContent", "FileEvent", "ForbiddenError",
    "InternalError", "InvalidArgumentError", "NotFoundError", "Output", "PreconditionFailedError", "RateLimitedError",
    "Stream", "Terminal", "TimedOutError", "TimeoutError", "TooLargeError", "UnauthenticatedError", "UnavailableError",
    "__version__", "errors", "types",
]
