"""What can go wrong, as classes. The HTTP status alone chooses the class; `code` says exactly what it was."""
from __future__ import annotations

import builtins
import json
from typing import Any, Dict, Mapping, Optional, Type

_TEXT_MAX = 300  # of an answer that is not the API's, such as a proxy's page


class CellarError(Exception):
    """The base of all. `kind` is the family by name, the same in every SDK."""

    kind = "error"

    def __init__(
        self,
        message: str,
        *,
        status: Optional[int] = None,
        code: Optional[str] = None,
        cause: Optional[str] = None,
        remediation: Optional[str] = None,
        retryable: bool = False,
        request_id: Optional[str] = None,
        run: Optional[str] = None,
        retry_after_s: Optional[float] = None,
        taken: Optional[int] = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.cause = cause
        self.remediation = remediation
        self.retryable = retryable
        self.request_id = request_id
        self.run = run  # the run that it is of, where the daemon says so
        self.retry_after_s = retry_after_s
        self.taken = taken  # of input for a process (`input_not_taken`): so many bytes; the rest is to be sent again

    def __str__(self) -> str:
        where = " ".join(str(part) for part in (self.status, self.code) if part is not None)
        text = f"{self.message} ({where})" if where else self.message
        return f"{text}; {self.remediation}" if self.remediation else text


class InvalidArgumentError(CellarError):
    """400, other 4xx and redirects: the request can never succeed as it is."""

    kind = "invalid_argument"


class UnauthenticatedError(CellarError):
    kind = "unauthenticated"


class ForbiddenError(CellarError):
    kind = "forbidden"


class NotFoundError(CellarError):
    kind = "not_found"


class ConflictError(CellarError):
    kind = "conflict"


class PreconditionFailedError(CellarError):
    """412: the file is not the one that `if_match` or `if_none_match` asked for."""

    kind = "precondition_failed"


class TooLargeError(CellarError):
    kind = "too_large"


class RateLimitedError(CellarError):
    kind = "rate_limited"


class ExhaustedError(CellarError):
    """507: a quota or the machine is full; trying again helps after something is freed."""

    kind = "exhausted"


class UnavailableError(CellarError):
    """502 or 503: not now."""

    kind = "unavailable"


class TimedOutError(CellarError):
    """504: the server's time for it was over."""

    kind = "timed_out"


class InternalError(CellarError):
    kind = "internal"


class AgentError(CellarError):
    """The agent's method failed: `message` and `code` are those of what it threw, `run` is the run where it is known."""

    kind = "agent_error"


class ConnectionError(CellarError, builtins.ConnectionError):  # noqa: A001
    """Nobody answered, or the answer broke off."""

    kind = "connection"
    sent = True  # some of the request was


class TimeoutError(CellarError, builtins.TimeoutError):  # noqa: A001
    """The client's own time was over."""

    kind = "timeout"


_BY_STATUS: Dict[int, Type[CellarError]] = {
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    412: PreconditionFailedError,
    413: TooLargeError,
    429: RateLimitedError,
    502: UnavailableError,
    503: UnavailableError,
    504: TimedOutError,
    507: ExhaustedError,
}
# Codes of a 500 that are the daemon's own, of a call of a method.
_NOT_THE_AGENTS = ("internal", "corrupt")


def class_of(status: int) -> Type[CellarError]:
    return _BY_STATUS.get(status, InvalidArgumentError if 300 <= status < 500 else InternalError)


def _text(value: Any) -> Optional[str]:
    return value if isinstance(value, str) else None


def retry_after_of(headers: Mapping[str, str]) -> Optional[float]:
    """Seconds. A date is not understood: the daemon sends none, and clocks differ."""
    text = headers.get("retry-after", "").strip()
    return float(text) if text.isdigit() else None


def error_of(status: int, headers: Mapping[str, str], body: bytes, *, of_agent: bool = False) -> CellarError:
    """The error that an answer is. `of_agent`: the answer to a call of a method."""
    try:
        fields = json.loads(body)
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or not isinstance(fields.get("error"), str):
        shown = body[:_TEXT_MAX].decode("utf-8", "replace").strip()
        where = f" to {headers['location']}: give that address as base_url" if "location" in headers else ""
        fields = {"error": f"the server answered {status}{where}" + (f": {shown}" if shown else ""),
                  "retryable": status in (429, 502, 503, 504)}
    code = _text(fields.get("code"))
    kind = class_of(status)
    if of_agent and status == 500 and code not in (None, *_NOT_THE_AGENTS):
        kind = AgentError
    return kind(
        fields["error"],
        status=status,
        code=code,
        cause=_text(fields.get("cause")),
        remediation=_text(fields.get("remediation")),
        retryable=fields.get("retryable") is True,
        request_id=_text(fields.get("request_id")) or headers.get("x-request-id"),
        run=headers.get("x-cellar-run"),
        retry_after_s=retry_after_of(headers),
        taken=fields.get("taken"),
    )
