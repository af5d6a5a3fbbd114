"""When a request is sent again, and when a stream is opened again. No I/O; the only chance is that of the pauses."""
from __future__ import annotations

import random
from typing import Optional

from . import errors
from ._wire import Request

PAUSE_FIRST_S = 0.25
PAUSE_MAX_S = 8.0
RETRY_AFTER_MAX_S = 60.0  # whoever asks for more is not waited for
RETRIES = 3  # of a call
RECONNECTS = 30  # of a stream, and of what is durable, one after another with nothing new between: some 5 minutes with the usual pauses
LONG_WAIT_S = 30.0  # whoever waited so long for an answer that broke off has not failed at once: its tries begin anew
GIVE_UP_S = 300.0  # of a stream: so long are its pauses together, with nothing new between, however long a server asks for
RECONNECT_PAUSE_FIRST_S = 1.0  # where the stream itself says nothing (`retry:`)
RECONNECT_PAUSE_MAX_S = 15.0

# Passing troubles, from a proxy or the daemon. 507 passes only when somebody frees something.
_PASSING = (429, 502, 503, 504)
# What a gateway says of what it had passed on, too.
_MAYBE_PASSED_ON = (502, 504)
# Codes of a 503 that last until somebody does something: those of runs that are paused, and of cells.
_LASTING = ("crash_loop", "agent_host_missing", "replay_mismatch", "ambiguous_step", "values_sealed", "user", "max_awake",
            "run_too_long", "replay_too_large", "journal_full", "runtime_unavailable", "runtime_too_weak", "cell_damaged",
            "journal_io_error", "secrets_sealed", "image_missing")


def pause(first_s: float, max_s: float, failures: int, chance: Optional[float] = None) -> float:
    """The pause after so many failures in a row: twice as long each time, and of that half to all."""
    whole = min(max_s, first_s * 2.0 ** min(failures - 1, 30))
    return whole * (0.5 + 0.5 * (random.random() if chance is None else chance))


def is_passing(error: errors.CellarError) -> bool:
    if isinstance(error, errors.ConnectionError):
        return True
    return error.status in _PASSING and error.code not in _LASTING and (error.code is None or error.retryable)


def may_repeat(request: Request, error: errors.CellarError, sent: bool) -> bool:
    """`sent`: some of the request was. What was never sent is safe to send, whatever it does."""
    if request.is_chunked:
        return False  # Its pieces are used up.
    if isinstance(error, errors.ConnectionError) and not sent:
        return True
    return request.repeatable and is_passing(error)


class Tries:
    """How often one request is sent again, over all its failures in a row."""

    def __init__(self, retries: int = RETRIES) -> None:
        self.retries = retries
        self.failures = 0
        self.may_have_been_done = False  # by a try that failed
        self._was_sent = False

    def heard(self) -> None:
        """Something came: whoever had it has it still, and the tries begin anew."""
        self.failures, self._was_sent = 0, True

    def after(self, request: Request, error: errors.CellarError, took_s: float = 0.0) -> Optional[float]:
        """The pause after a try that took so long, before the next one; None: there is none."""
        sent = error.sent if isinstance(error, errors.ConnectionError) else True
        was_broken = isinstance(error, errors.ConnectionError) and sent
        if was_broken and took_s > LONG_WAIT_S:
            self.heard()
        self.failures += 1
        self._was_sent = self._was_sent or was_broken
        self.may_have_been_done = self.may_have_been_done or was_broken or error.status in _MAYBE_PASSED_ON
        is_patient = request.is_durable and self._was_sent
        if self.failures > (max(self.retries, RECONNECTS) if is_patient else self.retries) or not may_repeat(request, error, sent):
            return None
        after = error.retry_after_s
        if after is not None and after > RETRY_AFTER_MAX_S:
            return None
        return max(after or 0.0, pause(PAUSE_FIRST_S, RECONNECT_PAUSE_MAX_S if is_patient else PAUSE_MAX_S, self.failures))


def is_done_already(request: Request, error: errors.CellarError, tries: Tries) -> bool:
    """A repeated DELETE that finds nothing: an earlier one did it, where that may have come as far."""
    return request.method == "DELETE" and tries.may_have_been_done and isinstance(error, errors.NotFoundError)
