"""What tells code that nobody waits for it any more."""
import asyncio
import threading

from . import turns


class Signal:
    """Aborts once, with a reason. Made and aborted on the loop's thread, looked at from any."""

    def __init__(self):
        self.reason = None
        self._listeners = []
        self._lock = threading.Lock()

    @property
    def aborted(self):
        return self.reason is not None

    def on_abort(self, listener):
        """Calls listener(reason) when it aborts, at once where it has."""
        with self._lock:  # Of two threads, one would add it to a list that the other has left.
            if not self.aborted:
                self._listeners.append(listener)
                return
        listener(self.reason)

    def off_abort(self, listener):
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)

    def wait(self, timeout=None):
        """Waits for it: `await signal.wait()`; in a thread of its own it blocks, for `timeout` seconds
        at most, and says whether it is aborted."""
        if turns.is_on_loop():
            return self._awaitable()
        event = threading.Event()

        def listener(reason):
            event.set()

        self.on_abort(listener)
        try:
            return event.wait(timeout)
        finally:
            self.off_abort(listener)

    def _awaitable(self):
        future = asyncio.get_running_loop().create_future()
        self.on_abort(lambda reason: future.done() or future.set_result(True))
        return future

    def abort(self, reason):
        with self._lock:
            if self.aborted:
                return
            self.reason = reason
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            self._tell(listener)

    def _tell(self, listener):
        """One that raises keeps nobody else from being told."""
        try:
            listener(self.reason)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "what listens to a signal has failed", "exception": error})
