"""What tells code that nobody waits for it any more."""
import asyncio
import threading

from . import turns


class Signal:
    """Aborts once, with a reason. Made and aborted on the loop's thread, looked at from any."""

    def __init__(self):
        self.reason = None
        self._listeners = []
        self._event = None

    @property
    def aborted(self):
        return self.reason is not None

    def on_abort(self, listener):
        """Calls listener(reason) when it aborts, at once where it has."""
        if self.aborted:
            listener(self.reason)
        else:
            self._listeners.append(listener)

    def off_abort(self, listener):
        if listener in self._listeners:
            self._listeners.remove(listener)

    def wait(self, timeout=None):
        """Waits for it: `await signal.wait()`; in a thread of its own it blocks, for `timeout` seconds
        at most, and says whether it is aborted."""
        if turns.is_on_loop():
            return self._awaitable()
        event = threading.Event()
        self.on_abort(lambda reason: event.set())
        return event.wait(timeout)

    def _awaitable(self):
        future = asyncio.get_running_loop().create_future()
        self.on_abort(lambda reason: future.done() or future.set_result(True))
        return future

    def abort(self, reason):
        if self.aborted:
            return
        self.reason = reason
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener(reason)
