"""The agent host: runs an agent's functions for cellard, over two sockets that it inherits
(docs/internals/agent-protocol.md). One process serves all runs of a cell."""
import asyncio
import functools
import inspect
import os
import sys
import traceback

from .agents import arguments_for, is_asynchronous, load_agent, method_of, setup_of
from .commands import Outcome
from .ctx import Ctx
from .errors import (
    REDACTED, AgentError, CancelledError, NonSerializableError, ParkedRun, agent_frames, is_sensitive, shown,
    tells_sensitive, to_json)
from .files import Files
from .frames import FrameParser, UpSocket
from .kinds import is_generator
from .run import Run
from .tasks import Future, begin_in_order, make_task
from .turns import HOST_CONTEXT, Loop, context_for
from .values import stringify

UP_FD = 3
DOWN_FD = 4
EXIT_FRAMES_TOLD = 4  # A crash loop tells the last ten lines: some are left for the agent's own.
READ_BYTES = 256 << 10
IMPOSSIBLE = ("agent_load_failed", "method_not_found")  # A run did nothing in such a version, and never could.
ENDED_EARLY = stringify({"message": "the method returns before it has done what is recorded"}, "it")


def leave(code=0):
    """Ends the process now, whatever its threads do."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    os._exit(code)


def tell_of_exit(error):
    """What Python shows of one, and where it was: nothing else would say why all runs begin again."""
    is_text = error.code is not None and not isinstance(error.code, int)
    code = REDACTED if is_sensitive(error) else shown(error.code)
    if is_text:
        print(code, file=sys.stderr)
    what = "…" if is_text else "" if error.code is None else code
    where = [f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}' for frame in agent_frames(error)]
    print(f"the agent called sys.exit({what})", *where[-EXIT_FRAMES_TOLD:], sep="\n", file=sys.stderr)


def _is_cancel(error):
    """Whether the cancel of its run has ended it; tasks of a group may have been ended together."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_cancel, error.exceptions))
    return isinstance(error, asyncio.CancelledError)


class Host:
    def __init__(self, loop):
        self._loop = loop
        self._up = UpSocket(UP_FD, leave)
        self._files = Files(os.environ.get("CELLAR_WORK_DIR", "/work"))
        self._cell_id = os.environ.get("CELLAR_CELL_ID", "")
        self._runs = {}
        self._tasks = set()
        self._parser = FrameParser(self._take)
        self._room = memoryview(bytearray(READ_BYTES))

    def start(self):
        self._loop.set_exception_handler(self._tell)
        self._loop.add_reader(DOWN_FD, self._read)
        self._up.send({"t": "hello", "v": 1, "python": sys.version.split()[0]})

    # ---- runs ----

    async def _call(self, run, function, *offered):
        """A coroutine function on the loop; a plain one in a thread of the run's own."""
        arguments = arguments_for(function, *offered)
        run.in_threads = not is_asynchronous(function)
        value = await run.threads.call(function, *arguments) if run.in_threads else \
            function(*arguments)
        value = await value if inspect.isawaitable(value) else value
        if is_generator(value):
            raise NonSerializableError(
                f"{getattr(function, '__name__', 'it')}() is a generator, and nothing goes through it: make it an ordinary function, and call "
                "ctx.stream(…) for each part")
        return value

    async def _execute(self, run, header):
        run.module = load_agent(header["agent"])
        method = method_of(run.module, run.method)
        ctx = Ctx(run, self._files, self._cell_id)
        if header["setup"]:
            setup = setup_of(run.module)
            if setup is not None:
                await self._call(run, setup, ctx)
            run.setup_done()
        result = await self._call(run, method, ctx, run.params)
        body = stringify(result, f"what {run.method}() returns")
        if run.undoes:
            raise CancelledError()  # Whatever it gives.
        run.commands.check_forgotten()
        return body

    async def _outcome(self, run, header):
        try:
            return Outcome(True, await self._execute(run, header))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            return self._failed(run, error)

    @staticmethod
    def _failed(run, error):
        code = None
        if isinstance(error, AgentError):
            code = error.code
        elif run.cancelled and (_is_cancel(error) or isinstance(error, ParkedRun)):
            code = CancelledError.code
            error = error if isinstance(error, CancelledError) else CancelledError()
        return Outcome(False, stringify(to_json(error), f"the error of {run.method}()"), code)

    async def _drive(self, run, header):
        await self._end(run, await self._outcome(run, header))

    async def _end(self, run, outcome):
        """Once: its method may be out of time, and end all the same."""
        if run.is_concluding:
            return
        run.is_concluding = True
        if run.is_trial and outcome.code in IMPOSSIBLE:
            run.end_trial(False, outcome.body)
        try:
            self._send_end(run, await run.conclude(outcome))
        except ParkedRun:
            pass
        except asyncio.CancelledError:
            if not run.parked:
                raise
        except Exception as error:  # Of ours, or of a class of the agent's: the run has an end all the same.
            self._send_end(run, self._failed(run, error))
        if not run.parked:
            run.end()
        self._drop(run)

    def _out_of_time(self, run):
        self._keep(self._loop.create_task(self._end(run, self._failed(run, CancelledError())),
                                          context=context_for(run)))

    @staticmethod
    def _send_end(run, outcome):
        if run.is_trial:
            run.end_trial(run.replay.is_complete, ENDED_EARLY if outcome.ok else outcome.body)
        elif not run.parked:
            more = {"code": outcome.code, "rolled": outcome.rolled}
            header = {"t": "end", "ok": outcome.ok}
            run.send({**header, **{key: value for key, value in more.items() if value is not None}},
                     outcome.body)

    def _keep(self, task):
        task.uses_ctx = True
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _begin(self, header, body):
        if header["run"] in self._runs:
            self._forget(self._runs[header["run"]])  # Its next attempt is here.
        run = Run(self._loop, self._up, header, body, self._out_of_time)
        self._runs[run.id] = run
        self._keep(self._loop.create_task(self._drive(run, header), context=context_for(run)))

    def _forget(self, run):
        run.leave()
        self._drop(run)

    def _drop(self, run):
        if self._runs.get(run.id) is run:
            del self._runs[run.id]

    def _suspend(self, run, n):
        """The run only waits for the daemon, which asks whether it may go on without us. Not while
        anything is under way that the daemon knows nothing of: it would begin anew."""
        if run.is_at_rest and not run.parked:
            run.park()
            self._drop(run)
            run.send({"t": "suspended", "n": n})

    # ---- frames ----

    def _read(self):
        try:
            size = os.readv(DOWN_FD, [self._room])  # Room for so much takes longer to make than to fill.
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if size == 0:
            leave()  # The daemon is gone.
        self._parser.feed(bytes(self._room[:size]))

    @staticmethod
    def _load(path):
        """The code of an agent that is to be there before somebody asks it for something. Where it
        does not load, each run says so, too."""
        try:
            load_agent(path)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            traceback.print_exc()

    def _take(self, header, body):
        kind = header["t"]
        if kind == "run":
            self._begin(header, body)
        elif kind == "load":
            self._load(header["agent"])
        elif kind == "ping":
            self._pong(header["n"])
        elif kind == "room":
            self._up.steps_max = header["steps"]
            self._up.send({"t": "room", "n": header["n"]})  # All that was begun before, it hears before.
        elif kind == "stop":
            leave()
        else:
            run = self._runs.get(header.get("run"))
            if run is not None and run.attempt == header.get("a"):  # Else an earlier one is told.
                self._take_for(run, kind, header, body)

    def _take_for(self, run, kind, header, body):
        if kind == "ack":
            run.acknowledge(header["o"], body if header.get("ok") is False else None)
        elif kind == "delta":
            run.waiting.give_part(header, body)
        elif kind == "result":
            run.waiting.give_result(header, body)
        elif kind == "began":
            run.began(header["o"])
        elif kind == "refused":
            run.began(header["o"], body)
        elif kind == "cancel":
            run.turns.push(functools.partial(run.cancel, header.get("rollback")))
        elif kind == "suspend":
            run.turns.push(functools.partial(self._suspend, run, header.get("n")))
        elif kind == "forget":
            run.turns.push(functools.partial(self._forget, run))
        # A later daemon may say more.

    def _pong(self, n):
        """Once all that was said before is done."""
        waiting = set(self._runs)

        def done(id=None):
            waiting.discard(id)
            if not waiting:
                self._up.send({"t": "pong", "n": n})

        if not waiting:
            done()
        for run in list(self._runs.values()):
            run.turns.push(functools.partial(done, run.id))

    # ---- errors that nobody catches ----

    @staticmethod
    def _tell(loop, context):
        """Shown where the agent's output goes. Code of a run that is over may fail: nobody waits for
        it."""
        error = context.get("exception")
        is_over = isinstance(error, (ParkedRun, asyncio.CancelledError))
        if is_over or "was destroyed but it is pending" in context.get("message", ""):
            return
        print(f"{context.get('message')}", file=sys.stderr)
        if error is not None and tells_sensitive(error):
            print(REDACTED, file=sys.stderr)
        elif error is not None:
            traceback.print_exception(error)


def main():
    for fd in (UP_FD, DOWN_FD):
        os.set_inheritable(fd, False)  # Commands of the agent's own get none of it.
    os.set_blocking(UP_FD, True)
    os.set_blocking(DOWN_FD, False)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace", line_buffering=True)
    loop = HOST_CONTEXT.run(Loop)
    loop.set_task_factory(make_task)
    loop.make_future = Future
    begin_in_order()
    asyncio.set_event_loop(loop)
    host = Host(loop)
    HOST_CONTEXT.run(host.start)
    try:
        loop.run_forever()
    except SystemExit as error:  # The agent's own.
        tell_of_exit(error)
        leave(error.code if isinstance(error.code, int) else int(error.code is not None))
    except KeyboardInterrupt:
        leave(130)
