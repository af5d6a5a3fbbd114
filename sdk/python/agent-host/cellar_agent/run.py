"""One run in this process: what its code does, how it ends, and what is undone then."""
import asyncio

from .bodies import Bodies
from .codec import decode_value, encode_value
from .commands import Commands, InStep, Outcome, Step
from .errors import CancelledError, Error, ParkedRun, from_json, to_json
from .names import Names
from .ordinals import Ordinals
from .replay import Replay
from .rollback import Phase, Rollbacks, undo_all
from .tasks import Tasks
from .threads import Threads
from .turns import HOST_CONTEXT, Turns, inside, owner
from .values import fingerprint, name_of, parse, stringify
from .waiting import Waiting

EVENT_BYTES_MAX = 1 << 20
GRACE_MS = 1000
UNASKED_NAME_MAX = 200


class Run:
    """All on the loop's thread. `header` and `body` are those of the `run` frame. out_of_time(run): its
    method is not waited for any more."""

    def __init__(self, loop, up, header, body, out_of_time):
        self.loop, self.up, self._out_of_time = loop, up, out_of_time
        self.id, self.method, self.attempt = header["run"], header["method"], header["a"]
        self.shown_id = header.get("id", self.id)  # As which its code knows itself: a trial is of another run.
        self.is_trial = header.get("trial", False)  # Of this version: nothing is done, only compared.
        self.phase = Phase()
        self.threads = Threads(loop, self)
        self.module = None  # the agent's, once it is loaded
        self.in_threads = False  # its code is a plain function
        self.parked = False
        self.undoes = False  # It is cancelled, and what it has done is undone.
        self.is_rolling_back = False
        self.is_concluding = False  # Its method has ended, or is out of time.
        self._grace = None  # the timer of a cancel
        self.rollbacks = Rollbacks()
        self.ordinals = Ordinals(self, header["base"])
        self.names = Names()
        self.commands = Commands(self)
        self.waiting = Waiting(self)
        self._last_tag = 0
        self._unasked = set()  # ordinals of steps that the daemon was not asked for
        self._seen = 0  # values that its code has, and that were said to be recorded;
        self._kept = 0  # of them are on disk
        self.tasks = Tasks()
        self._bodies = Bodies(self)
        size = header["params_len"]
        self.params = parse(body[:size])
        self.replay = Replay(loop, header["replay"], body, size, self._is_quiet,
                             lambda: loop.own_time(self), self._stalled, self._caught_up)
        self.turns = Turns(loop, self, self.replay.next)
        self.replay.go_on = self.turns.go_on
        marker = self.replay.marker
        self._is_closing = marker is not None  # Its method gets to where it was, and not beyond.
        if "cancel" in header or (marker is not None and marker.n == "cancelled"):
            self.cancel({"grace": header.get("cancel", GRACE_MS)})
        if marker is not None and marker.n == "failed":  # It need not fail again: all is recorded.
            self.replay.when_caught_up(lambda: self._limit(GRACE_MS))

    # ---- its state ----

    @property
    def in_step(self):
        here = inside.get()
        return here is not None and here.phase is self.phase

    @property
    def cancelled(self):
        return self.undoes or self.phase.is_over

    @property
    def is_at_rest(self):
        """Nothing of it is under way here: what it waits for is the daemon's to give."""
        return self.replay.is_caught_up and self._is_quiet() and not self._is_closing

    def _is_quiet(self):
        is_busy = self._bodies.are_going or not self.waiting.is_for_daemon
        return not is_busy and not self.loop.is_ready(self) and not self.loop.is_waiting(self)

    def check(self):
        here = owner.get()
        if here is not self and isinstance(here, Run):  # It would be recorded where that never comes by again.
            raise Error("this ctx is that of another run, or of an earlier attempt: hand each function the ctx that "
                        "its own run was called with", code="foreign_run")
        if self.parked:
            raise ParkedRun()
        if self.phase.is_over:
            raise CancelledError()
        if self.is_rolling_back and not self.in_step:  # The method's own code.
            raise self.ordinals.closed()

    def end_trial(self, ok, body=b"null"):
        """The trial has come to an end of what is recorded: nothing is executed behind it."""
        if not self.parked:
            self.send({"t": "trial", "o": self.ordinals.last, "ok": ok}, body)
            self.park()

    def _caught_up(self):
        if self.is_trial and self.replay.marker is None:
            self.end_trial(True)

    def park(self):
        """From now on nothing that its code asks for is done, and its code unwinds."""
        if not self.parked:
            self._be_parked()
            self.tasks.cancel()

    def _be_parked(self):
        self.parked = True
        if self._grace is not None:
            self._grace.cancel()
        self._let_go()

    def end(self):
        """Its method has ended: what still goes on has nobody who keeps it, and is told to stop."""
        if not self.parked:
            self._be_parked()
            self.tasks.cancel(but=asyncio.current_task())
        self.phase.signal.abort(CancelledError("the run has ended"))

    def leave(self):
        """It goes on elsewhere, or in its next attempt here: what still goes on would be done twice at
        once. Threads hear of that by their signal only."""
        self.park()  # First: nothing that it says to this counts.
        self.phase.signal.abort(CancelledError("the run goes on elsewhere"))

    def cancel(self, rollback=None):
        """Ends what is under way, rollbacks too. With `rollback`, {"grace": ms}: what its method has going,
        once the method is where it was; the method has the grace time to end, and then what it has
        done is undone."""
        if self.parked:
            return
        marker = self.replay.marker
        if rollback is None:
            self.undoes = False
            self._stop()
        elif not self.undoes and not self.is_rolling_back and (marker is None or marker.n != "failed"):
            self.undoes = self._is_closing = True
            self.replay.when_caught_up(lambda: self._stop_method(rollback["grace"]))

    def _stop_method(self, grace):
        self._limit(grace)
        self._stop()

    def _limit(self, grace):
        """After `grace` ms its method is not waited for any more."""
        self._grace = self.loop.call_later(grace / 1000, self._out_of_time, self, context=HOST_CONTEXT)

    def _stop(self):
        if not self.phase.is_over:
            self.phase.is_over = True
            self._forget()
            self.commands.cancel_all()
            self._bodies.cancel()
            self.phase.signal.abort(CancelledError())

    def _let_go(self):
        """Nothing that its code waits for comes any more. Its tasks are to be cancelled next."""
        self._forget()
        self.commands.leave_all()
        self.threads.let_go()

    def _forget(self):
        self.waiting.clear()
        self.up.step_count -= len(self._unasked)
        self._unasked.clear()

    # ---- ordinals and replay ----

    def _next_tag(self):
        self._last_tag += 1
        return self._last_tag

    @property
    def is_method_closing(self):
        """Its method comes to nothing new."""
        return self._is_closing and not self.is_rolling_back

    @property
    def _leaves_open(self):
        """A trial executes nothing, nor does a method whose run is rolled back: what was open stays so."""
        return self.is_trial or self.is_method_closing

    def _stalled(self, missing):
        self.ordinals.differs(missing, {"k": "nothing", "n": "the code waits", "fp": ""})

    def send(self, header, body=b""):
        self.up.send({**header, "run": self.id, "a": self.attempt}, body)

    # ---- what is done at once ----

    def value(self, k, name, arguments, produce, changes=False, tells=None):
        """Something that is done here and now: recorded with its value, not done again on replay. What
        raises leaves its ordinal empty, and is tried again. `changes`: something outside of the journal;
        `tells`: what it gives says how that was, as all does that changes nothing."""
        self.check()
        if self.in_step:
            return produce()
        n = name_of(name)
        fp = fingerprint(stringify(arguments, f"what ctx.{k} is given"))
        o = self.ordinals.next()
        entry = self.ordinals.look_up(o, k, n, fp)
        if entry is not None:
            return parse(entry.body)
        if changes:
            self._keep_seen()
        value = produce()
        body = stringify(value, f'what ctx.{k}("{n}") gives')
        if not self.is_trial:
            self.send({"t": "value", "o": o, "k": k, "n": n, "fp": fp}, body)
            self._seen += not changes if tells is None else tells
        return parse(body)  # As a replay gives it.

    @property
    def _keeps(self):
        """What the code has seen, and may do something with: with the daemon gone it would see something else
        the next time. Where it is not on disk yet, what is begun now begins once it is."""
        return {"keeps": True} if self._seen > self._kept else {}

    def _keep_seen(self):
        if self._keeps:
            self.send({"t": "call", "o": 0, "op": "journal.sync"}, b"null")
            self._answer()
            self._kept = self._seen

    def call(self, op, name, arguments):
        """Asks the daemon and waits, with the whole process."""
        self.check()
        n = name_of(name)
        body = stringify(arguments, f"what ctx.{op} is given")
        fp = fingerprint(body)
        o = 0 if self.in_step else self.ordinals.next()
        entry = None if o == 0 else self.ordinals.look_up(o, op, n, fp)
        if entry is not None:
            return parse(entry.body)
        self.send({"t": "call", "o": o, "op": op, "n": n, "fp": fp, **self._keeps}, body)
        self._seen += o != 0
        return self._answer()

    def _answer(self):
        header, answer = self.up.receive()
        value = parse(answer)
        if header["ok"]:
            return value
        if header.get("left"):
            self.leave()
            raise ParkedRun()
        if value.get("code") == "canceled":
            self.cancel(header.get("rollback"))  # Its frame waits on the other socket.
        raise from_json(value, self.module)

    def event(self, kind, data):
        self.check()
        body = stringify(data, f"the argument of ctx.{kind}")
        if len(body) > EVENT_BYTES_MAX:
            raise Error(f"the argument of ctx.{kind} takes {len(body)} bytes as JSON, at most "
                        f"{EVENT_BYTES_MAX}: send it in parts", code="too_large")
        o = 0 if self.in_step else self.ordinals.next()
        if o == 0 or (self.ordinals.look_up(o, "event", kind, "") is None and not self.is_trial):
            self.send({"t": "event", "o": o, "type": kind, **self._where(o)}, body)

    @staticmethod
    def _where(o):
        """Of what is part of a step: which one, and in which attempt."""
        if o != 0:
            return {}
        here = inside.get()
        return {"in": here.ordinal} if here.attempt is None else {"in": here.ordinal, "try": here.attempt}

    def continue_as(self, state):
        """The run goes on with `state` as its params, and with an empty history."""
        try:
            self.check()
            if self.in_step:
                raise Error("ctx.continue_as() is inside a step", code="nested_continue")
            self.commands.check_forgotten()
            body = stringify(state, "the state of ctx.continue_as()")
            o = self.ordinals.next()
            self.ordinals.look_up(o, "continue", "", "")
            self.send({"t": "continue", "o": o}, body)
            self.leave()
        except ParkedRun:
            pass
        return self.commands.never()

    def setup_done(self):
        self.check()
        o = self.ordinals.next()
        if self.ordinals.look_up(o, "setup", "", "") is None:
            self.send({"t": "setup.done", "o": o})
        self.rollbacks.leave_out()

    # ---- commands ----

    def _replayed(self, entry, settle, when_completed=None):
        """It settles in its turn, as it did before."""
        (when_completed or self.replay.when_completed)(
            entry.o, lambda: settle(entry.state == "ok", entry.body, entry.codec))

    def command(self, k, prepare, finish=None, same=None, on_part=None):
        """A command that the daemon executes. prepare() gives name and arguments. `same` is the fingerprint, where
        not all arguments are in it."""
        try:
            self.check()
            name, arguments = prepare()
            n = name_of(name)
            body = stringify(arguments, f"what ctx.{k} is given")
            fp = same or fingerprint(body)
            o = 0 if self.in_step else self.ordinals.next()
            entry = None if o == 0 else self.ordinals.look_up(o, k, n, fp)
        except ParkedRun:
            return self.commands.never()
        command = self.commands.make(o, name)
        settle = self.commands.end_with(o, name, command, finish)
        if entry is not None and not entry.is_open:
            self._replayed(entry, settle)
            return command
        if self._leaves_open:  # The code waits for it.
            return command
        x = self._next_tag()
        header = {"t": "cmd", "o": o, "k": k, "n": n, "fp": fp, "x": x, **self._keeps, **self._where(o)}
        if o == 0:
            self.waiting.answers[x] = settle
        else:
            self.waiting.results[o] = settle
        if on_part is not None:
            here = inside.get() if o == 0 else InStep(self.phase, False, o)
            self.waiting.for_parts(header, on_part, here)
        is_sensitive = o == 0 and inside.get().is_sensitive
        self.send({**header, "sens": "output"} if is_sensitive else header, body)
        return command

    # ---- steps ----

    def _begin(self, k, make_name, fp, policy, sensitive=False, begins=False):
        """Begins a step, or finds it in the journal. make_name() is called once it is clear that it is
        one."""
        self.check()
        if self.in_step:
            raise Error(f'step "{make_name()}" is inside another step: end the outer one first, or call '
                        "it plainly", code="nested_step")
        return self._take(k, make_name, fp, policy, sensitive, begins)

    def _take(self, k, make_name, fp, policy, sensitive, begins=False):
        n = name_of(make_name())
        o = self.ordinals.next()
        entry = self.ordinals.look_up(o, k, n, fp)
        step = Step(o, n, entry)
        step.is_left = not step.is_done and self._leaves_open
        if not step.is_done and not step.is_left:
            header = {"t": "cmd", "o": o, "k": k, "n": n, "fp": fp, **self._keeps}
            if policy != "retry":
                header["pol"] = policy
            step.waits = policy != "retry" or "keeps" in header
            if not step.waits and not self._may_begin(o, n):
                header["ask"] = step.waits = True
            if sensitive:
                header["sens"] = "output"
            if begins:  # Nothing of it is executed.
                header["begins"] = True
            self.send(header)
        return step

    def _may_begin(self, o, name):
        """Whether there is a place in the daemon's journal for its record: else it is asked."""
        if self.up.step_count >= self.up.steps_max or len(name) > UNASKED_NAME_MAX:
            return False
        self.up.step_count += 1
        self._unasked.add(o)
        return True

    def step(self, k, make_name, fp, body, policy="retry", finish=None, undo=None, sensitive=False):
        """A command whose body runs here, body(step) or the awaitable that it gives: what comes of it is on disk
        before anybody sees it. undo(value, ordinal) gives the body of the step that undoes it. What a sensitive
        one gives is shown to nobody."""
        try:
            step = self._begin(k, make_name, fp, policy, sensitive)
        except ParkedRun:
            return self.commands.never()
        if step.is_left:  # The code waits for it.
            return self.commands.make(step.o, step.name)
        if undo is not None:
            self.rollbacks.declare(step.o, step.name, policy, sensitive, undo)
            if step.is_done and step.entry.state == "ok":
                entry = step.entry
                self.rollbacks.complete(entry.o, entry.body, entry.codec, entry.ended_at)
        command = self.commands.make(step.o, step.name)
        settle = self.commands.end_with(step.o, step.name, command, finish, sensitive or step.was_sensitive)
        if step.is_done:
            self._replayed(step.entry, settle)
        else:
            self._bodies.perform(k, step, body, settle, sensitive)
        return command

    def record(self, o, ok, body, codec, settle):
        """The end of a step; it settles when that is on disk, with what a replay would give."""
        seen = self._seen

        def recorded(error):
            self._kept = max(self._kept, seen)
            if error is None:
                settle(ok, body, codec)
            else:
                settle(False, error)
        self.waiting.acks[o] = recorded
        header = {"t": "done", "o": o, "ok": ok}
        self.send({**header, "c": codec} if codec == "typed" else header, body)

    def give_up(self, o, name):
        """What the journal has open, and the code does not do any more, would be open for ever."""
        if not self._leaves_open:
            error = Error(f'"{name}" is not in this version of the agent any more', code="removed")
            self.send({"t": "done", "o": o, "ok": False}, stringify(to_json(error), f'the error of "{name}"'))

    def begin_step(self, make_name, make_handle):
        try:
            step = self._begin("step", make_name, "", "retry", begins=True)
        except ParkedRun:
            return self.commands.never()
        handle = make_handle(step.name, step.o)
        command = self.commands.make(step.o, step.name)
        if step.is_done:
            settle = self.commands.end_with(step.o, step.name, command, handle.finish)
            self._replayed(step.entry, settle, self.replay.when_begun_completed)
        elif step.waits:  # One that is refused has that for its end.
            settle = self.commands.end_with(step.o, step.name, command, None)
            self.waiting.begins[step.o] = lambda error: (
                self._begun(step, command, handle) if error is None
                else self.record(step.o, False, error, "json", settle))
        else:
            self._begun(step, command, handle)
        return command

    def _begun(self, step, command, handle):
        self.commands.give(step.o, command, handle)
        self.commands.keep_open(step.o, step.name)

    def complete_step(self, handle, value):
        try:
            self.check()
        except ParkedRun:
            return self.commands.never()
        if handle.done:
            raise Error(f'step "{handle.name}" is completed already', code="step_ended")
        if self._leaves_open:  # The code waits for it.
            return self.commands.make(handle.ordinal, handle.name)
        body, codec = encode_value(value, f'the value of step "{handle.name}"')
        handle.finish(True, decode_value(body, codec, self.module))
        command = self.commands.make(handle.ordinal, handle.name)
        # What it is given, or the error that is recorded in its place.
        settle = self.commands.end_with(handle.ordinal, handle.name, command, None)
        self.record(handle.ordinal, True, body, codec, settle)
        return command

    async def attempt_failed(self, o, attempt, error, delay):
        """One attempt of a step failed, another follows in `delay` ms. Returns when that is on disk."""
        if self.parked:
            return
        recorded = self.loop.create_future()
        self.waiting.begins[o] = lambda _: recorded.done() or recorded.set_result(None)
        self.send({"t": "failed", "o": o, "n": attempt, "delay": delay},
                  stringify(to_json(error), "the error of an attempt"))
        await recorded

    def progress(self, o, body, attempt):
        """Settles when it is on disk."""
        self.check()
        command = self.commands.make(0, "progress")
        x = self._next_tag()
        self.waiting.answers[x] = self.commands.end_with(0, "progress", command, None)
        self.send({"t": "progress", "o": o, "x": x, "try": attempt}, body)
        return command

    # ---- rolling back ----

    async def conclude(self, outcome):
        """What the run ends with, where its method ended so. Where it has failed, or is cancelled with
        rollback, all that it can undo is undone before."""
        marker = self.replay.marker
        is_undone = self.undoes or (not outcome.ok and not self.phase.is_over)
        if outcome.ok and not is_undone and marker is not None and not self.is_trial:
            self.ordinals.differs(marker, {"k": "end", "n": "", "fp": ""})
        if self.parked or not is_undone or (self.is_trial and marker is None):
            return outcome
        self._is_closing = True
        caught_up = self.commands.make(0, "")
        # On replay other branches come to what they had done, too.
        self.replay.when_caught_up(lambda: self.commands.give(0, caught_up, None))
        try:
            await caught_up
        except CancelledError:  # One with rollback comes when all is caught up.
            if not self.undoes:
                return Outcome(False, outcome.body, CancelledError.code)
        await self._until_kept()
        if self.phase.is_over and not self.undoes:
            return Outcome(False, outcome.body, CancelledError.code)
        undos = self.rollbacks.in_order(self.module)
        if self.parked or not (undos or marker):
            return outcome
        self._leave_method()
        body = await self._mark("cancelled" if self.undoes else "failed", outcome.body)
        told = await undo_all(undos, self._undo)
        rolled = "failed" not in told or self.phase.is_over  # Ended by a cancel: as asked.
        code = CancelledError.code if self.undoes or self.phase.is_over else None
        body = stringify({**parse(body), "rollback": told}, f"the error of {self.method}()")
        return Outcome(False, body, code, rolled)

    async def _until_kept(self):
        """What was not kept is not undone."""
        while not self.rollbacks.are_kept:
            kept = self.commands.make(0, "")
            self.rollbacks.when_kept(lambda: self.commands.give(0, kept, None))
            try:
                await kept
            except CancelledError:
                pass  # It is known soon all the same.

    def _leave_method(self):
        """What it has going is interrupted: whether that was done is not known, and it is not undone."""
        method, self.phase = self.phase, Phase()
        method.is_over = self.is_rolling_back = True
        self._let_go()
        self.tasks.cancel(but=asyncio.current_task())
        method.signal.abort(CancelledError("the run is rolled back"))

    async def _mark(self, n, body):
        """That the run rolls back, and the error that it ends with: on disk before anything is undone.
        What the journal holds of it. It lies behind all that its method came to, commands that left
        nothing in the journal among it."""
        marker = self.replay.marker
        if marker is not None:
            self.ordinals.last = marker.o - 1
        o = self.ordinals.next()
        entry = self.ordinals.look_up(o, "rollback", n, "")
        if entry is not None:
            return entry.body
        began = self.commands.make(0, "")
        self.waiting.begins[o] = lambda _: self.commands.give(0, began, None)
        self.send({"t": "rollback", "o": o, "n": n}, body)
        try:
            await began
        except CancelledError:  # Nothing is undone.
            if not self.phase.is_over:
                raise
        return body

    async def _undo(self, undo):
        if self.phase.is_over:
            raise CancelledError()
        step = self._take("step", lambda: self.names.take(f"rollback {undo.name}"), "", undo.policy,
                          undo.sensitive)
        command = self.commands.make(step.o, step.name)
        settle = self.commands.end_with(step.o, step.name, command, None, undo.sensitive or step.was_sensitive)
        if step.is_done:
            settle(step.entry.state == "ok", step.entry.body, step.entry.codec)
        else:
            self._bodies.perform("step", step, undo.body, settle, undo.sensitive)
        try:
            await command
        except asyncio.CancelledError:
            if self.parked:
                raise ParkedRun() from None
            raise

    # ---- what the daemon says, each in a turn of its own ----

    def acknowledge(self, o, error=None):
        """With `error`, the body of its frame: that is recorded, and not what was to be."""
        if o in self._unasked:
            self._unasked.remove(o)
            self.up.step_count -= 1
        self.turns.push(lambda: self._acknowledged(o, error))

    def _acknowledged(self, o, error):
        if error is None:
            self.rollbacks.keep(o)
        else:
            self.rollbacks.forget(o)  # Also where nobody waits for it any more.
        self.waiting.give(self.waiting.acks, o, error)

    def began(self, o, error=None):
        """With `error` it must not begin."""
        self.turns.push(lambda: self.waiting.begins.pop(o, lambda _: None)(error))
