"""Both clients against a server that breaks off, refuses and lies."""
import asyncio
import base64
import bisect
import hashlib
import io
import json
import os
import random
import struct
import threading
import time
import unittest
from unittest import mock

import cellar
from cellar import _retry
from cellar._follow import Ids
from cellar._wire import Request, has_news
from fake_server import END, FakeServer, chunk, stream_head, whole

CUTS = 1000
SEED = int(os.environ.get("CELLAR_TEST_SEED", 0)) or random.randrange(1 << 32)
BUSY = json.dumps({"error": "not now", "code": "no_capacity", "retryable": True, "request_id": "r1"}).encode()


def sync_items(url, begin, **options):
    with cellar.Cellar(url, "k", **options) as client, begin(client) as stream:
        return list(stream)


def async_items(url, begin, **options):
    async def read():
        async with cellar.AsyncCellar(url, "k", **options) as client:
            async with begin(client) as stream:
                return [item async for item in stream]
    return asyncio.run(read())


def sync_call(url, call, **options):
    with cellar.Cellar(url, "k", **options) as client:
        return call(client)


def async_call(url, call, **options):
    async def run():
        async with cellar.AsyncCellar(url, "k", **options) as client:
            return await call(client)
    return asyncio.run(run())


CALLS, ITEMS = (sync_call, async_call), (sync_items, async_items)


class Case(unittest.TestCase):
    def serve(self, answer):
        server = FakeServer(answer)
        self.addCleanup(server.close)
        return server

    def setUp(self):
        quick = mock.patch.multiple(_retry, PAUSE_FIRST_S=0.001, RECONNECT_PAUSE_MAX_S=0.002)
        quick.start()
        self.addCleanup(quick.stop)


def sse(number, type="stream"):
    value = {"seq": number, "ts": "t", "type": type, "data": {"text": "ü\n" * (number % 7)}}
    return f"id: {number}\nevent: {type}\ndata: {json.dumps(value)}\n\n".encode()


class StreamTest(Case):
    def test_events_are_told_once_each_over_a_thousand_cuts(self):
        for items in ITEMS:
            chance = random.Random(SEED)
            seqs = sorted(chance.sample(range(1, 100_000), 2500))
            cuts = 0

            def answer(request):
                nonlocal cuts
                after = int(request[2].get("last-event-id", 0))
                begin = max(0, bisect.bisect_right(seqs, after) - 2)  # two of the past again: a client that counts drops them
                if cuts == CUTS:
                    parts = [sse(seq, "run.completed" if seq == seqs[-1] else "stream") for seq in seqs[begin:]]
                    return [stream_head(), chunk(b"".join(parts)), END]
                cuts += 1
                if chance.random() < 0.2:
                    return [whole(503, BUSY)] if chance.random() < 0.5 else [FakeServer.CUT]
                told = seqs[begin:-1][:chance.randrange(8)]
                text = b"retry: 0\n\n" + b"".join(map(sse, told))
                text = text[:chance.randrange(len(text) + 1)]
                at = chance.randrange(len(text) + 1)
                # A clean end with nothing new is the server's word that nothing follows.
                is_news = any(seq > after and sse(seq) in text for seq in told)
                return [stream_head(), *(chunk(piece) for piece in (text[:at], text[at:]) if piece),
                        chance.choice([FakeServer.CUT, FakeServer.CLOSE, END if is_news else FakeServer.CLOSE])]

            server = self.serve(answer)
            with self.subTest(items=items.__name__, seed=SEED), mock.patch.object(_retry, "RECONNECTS", CUTS):
                found = items(server.url, lambda client: client.cell("c").runs.events("r"), retries=CUTS)
                self.assertEqual(seqs, [event["seq"] for event in found])
                self.assertEqual(CUTS, cuts)

    def test_a_method_that_streams_is_called_again_with_its_key_and_gives_only_the_rest(self):
        values = [b'id: %d\ndata: {"i": %d}\n\n' % (10 + number, number) for number in range(5)]
        for items in ITEMS:
            answers = [[stream_head(x_cellar_run="r"), chunk(values[0] + values[1] + values[2][:19]), FakeServer.CUT],
                       [FakeServer.CUT], [stream_head(x_cellar_run="r"), chunk(b"".join(values[2:]) + b": end\n\n"), END]]
            server = self.serve(lambda request: answers.pop(0))
            found = items(server.url, lambda client: client.cell("c").stream("m"))
            self.assertEqual(list(range(5)), [item["i"] for item in found])
            self.assertEqual(1, len({request[2]["idempotency-key"] for request in server.requests}))
            self.assertEqual([None, "11", "11"], [request[2].get("last-event-id") for request in server.requests])
            self.assertEqual({"text/event-stream"}, {request[2]["accept"] for request in server.requests})

    def test_a_stream_that_ends_without_saying_so_is_gone_on_with_and_is_over_where_nothing_more_comes(self):
        # As behind a proxy that makes a proper end of a connection that was lost.
        def text(number, value):
            return b'id: %d\ndata: "%s"\n\n' % (number, value)
        end, retry = b": end\n\n", b"retry: 0\n\n"
        for parts, connections in (([retry, text(1, b"a"), text(2, b"b") + end], 3), ([text(1, b"a"), text(2, b"b"), retry + end], 3),
                                   ([text(1, b"a"), text(2, b"b"), retry, text(9, b"never")], 3),
                                   ([b'data: "a"\n\ndata: "b"\n\n', text(9, b"never")], 1)):
            for call in CALLS:
                answers = [[stream_head(x_cellar_run="r"), chunk(part), END] for part in parts]
                server = self.serve(lambda request: answers.pop(0))
                self.assertEqual("b", call(server.url, lambda client: client.cell("c").request("m")))
                self.assertEqual(connections, len(server.requests))
                self.assertEqual(1, len({request[2]["idempotency-key"] for request in server.requests}))

    def test_the_events_of_a_run_are_over_where_the_server_says_so_and_not_where_a_connection_ends(self):
        for items in ITEMS:
            answers = [[stream_head(), chunk(part), END] for part in (b"retry: 0\n\n", sse(4), b": end\n\n")]
            server = self.serve(lambda request: answers.pop(0))
            found = items(server.url, lambda client: client.cell("c").runs.events("r"))
            self.assertEqual([4], [event["seq"] for event in found])
            self.assertEqual(3, len(server.requests))

    def test_a_watch_tells_after_a_break_that_changes_are_missing_and_ends_with_its_folder(self):
        def event(number, type, path):
            return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, type, json.dumps({"path": path, "type": "file"}).encode())

        for items in ITEMS:
            answers = [[stream_head(), FakeServer.CUT],
                       [stream_head(), chunk(event(1, b"ready", "src") + event(2, b"created", "src/a")), FakeServer.CUT],
                       [stream_head(), chunk(event(3, b"reset", "src") + event(4, b"deleted", "src/a") + event(5, b"deleted", "src")), END]]
            server = self.serve(lambda request: answers.pop(0))
            found = items(server.url, lambda client: client.cell("c").files.watch("src"))
            self.assertEqual([("ready", "src"), ("created", "src/a"), ("reset", "src"), ("deleted", "src/a"), ("deleted", "src")],
                             [(one.type, one.path) for one in found])
            self.assertEqual([None, None, "2"], [request[2].get("last-event-id") for request in server.requests])
            broken = self.serve(lambda request: [stream_head(), chunk(
                event(1, b"ready", "src") + b'event: error\ndata: {"error": "too many", "code": "watch_limit"}\n\n'), END])
            with self.assertRaisesRegex(cellar.CellarError, "too many"):
                items(broken.url, lambda client: client.cell("c").files.watch("src"))
            self.assertEqual(1, len(broken.requests))

    def test_a_stream_that_never_gives_anything_new_ends_after_so_many_tries(self):
        for items in ITEMS:
            server = self.serve(lambda request: [stream_head(), chunk(b"retry: 0\n\n" + sse(1)), FakeServer.CUT])
            with self.assertRaises(cellar.ConnectionError):
                items(server.url, lambda client: client.cell("c").events())
            self.assertEqual(1 + _retry.RECONNECTS, len(server.requests))

    def test_a_stream_waits_a_minute_for_a_server_at_most_and_not_past_the_time_to_give_up(self):
        follow = Ids(Request("GET", "/"))
        follow.opened({})
        busy = cellar.UnavailableError("not now", status=503, retryable=True, retry_after_s=3600.0)
        pauses = []
        with self.assertRaises(cellar.UnavailableError):
            while True:
                pauses.append(follow.failed(busy))
        self.assertEqual([_retry.RETRY_AFTER_MAX_S] * 5, pauses)
        self.assertEqual(_retry.GIVE_UP_S, sum(pauses))
        follow = Ids(Request("GET", "/"))
        for _ in range(20):  # Something new came between.
            follow.opened({})
            follow.feed(sse(len(pauses)))
            pauses.append(follow.failed(busy))

    def test_a_command_that_breaks_off_is_not_run_again(self):
        for items in ITEMS:
            server = self.serve(lambda request: [stream_head(), chunk(b'event: stdout\ndata: {"text": "a"}\n\n'), FakeServer.CUT])
            with self.assertRaises(cellar.ConnectionError):
                items(server.url, lambda client: client.cell("c").exec_stream("x"))
            self.assertEqual(1, len(server.requests))

    def test_stale_and_reset_are_told_and_a_tail_has_no_gap(self):
        for items in ITEMS:
            def answer(request):
                if "tail=2" in request[1]:
                    listed = {"events": [json.loads(sse(4).split(b"data: ")[1])], "last_seq": 5, "more": False, "stale": False}
                    return [whole(200, json.dumps(listed).encode())]
                if request[2].get("last-event-id") == "5":
                    return [stream_head(), chunk(b"retry: 0\n\n" + sse(8, "stale") + sse(9, "reset")), FakeServer.CUT]
                return [whole(404, b'{"error": "it is gone", "code": "cell_not_found"}')]
            found = []

            def begin(client):
                stream = client.cell("c").events(tail=2)
                stream._decode = lambda event, decode=stream._decode: found.append(event.type) or decode(event)
                return stream
            server = self.serve(answer)
            with self.assertRaises(cellar.NotFoundError):
                items(server.url, begin)
            self.assertEqual(["stream", "stale", "reset"], found)


    def test_types_of_events_are_a_list_or_one_text(self):
        gone = whole(404, b'{"error": "it is gone", "code": "cell_not_found"}')
        for items in ITEMS:
            for types, sent in (("cell.*", "cell.*"), (["cell.*"], "cell.*"), ("a,b", "a%2Cb"), (("a", "b"), "a%2Cb")):
                for tail in (None, 0):
                    server = self.serve(lambda request: [gone])
                    with self.assertRaises(cellar.NotFoundError):
                        items(server.url, lambda client: client.cell("c").events(types=types, tail=tail))
                    self.assertIn(f"types={sent}", server.requests[0][1].replace("%2A", "*").split("?")[1].split("&"))


class CallTest(Case):
    def test_only_what_is_safe_is_sent_again(self):
        safe = [lambda client: client.cell("c").get(), lambda client: client.cell("c").runs.start("m"),
                lambda client: client.cell("c").request("m"), lambda client: client.cells.create("a"),
                lambda client: client.agents.call("m", customer_id="ü"), lambda client: client.cell("c").runs.send_event("r", "t"),
                lambda client: client.cell("c").runs.restart("r", from_="a")]
        unsafe = [lambda client: client.cell("c").exec("x"), lambda client: client.cell("c").processes.start("x"),
                  lambda client: client.cell("c").request("db_create", {}), lambda client: client.cell("c").runs.approve("r"),
                  lambda client: client.cell("c").files.append("a", b"b")]
        for call in CALLS:
            for trouble in ([FakeServer.CUT], [whole(503, BUSY)], [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", FakeServer.CLOSE]):
                for one in safe:
                    answers = [trouble, trouble, [whole(200, b'{"cell_id": "c"}')]]
                    server = self.serve(lambda request: answers.pop(0))
                    call(server.url, one)
                    self.assertEqual(3, len(server.requests))
                    self.assertEqual(1, len({(request[2].get("idempotency-key"), request[3]) for request in server.requests}))
                for one in unsafe:
                    server = self.serve(lambda request: trouble)
                    with self.assertRaises((cellar.ConnectionError, cellar.UnavailableError)):
                        call(server.url, one)
                    self.assertEqual(1, len(server.requests))

    def test_what_is_durable_is_waited_for_through_a_restart_once_somebody_had_it(self):
        calls = [(call, one) for call in CALLS for one in (
            lambda client: client.cell("c").request("m"), lambda client: client.cell("c").runs.start("m"),
            lambda client: client.agents.call("m", customer_id="a"), lambda client: client.cell("c").runs.send_event("r", "t"),
            lambda client: client.cell("c").runs.await_("r", timeout_s=None))]
        for call, one in [*calls, *((items, lambda client: client.cell("c").stream("m")) for items in ITEMS)]:
            cut = [FakeServer.CUT]
            answers = [cut, *[[whole(502, BUSY)], cut] * 9, [whole(200, b'{"status": "completed"}')]]
            server = self.serve(lambda request: answers.pop(0))
            call(server.url, one)
            self.assertEqual(20, len(server.requests))
            self.assertEqual(1, len({(request[2].get("idempotency-key"), request[3]) for request in server.requests}))
            server = self.serve(lambda request: cut)
            with self.assertRaises(cellar.ConnectionError):
                call(server.url, one)
            self.assertEqual(1 + _retry.RECONNECTS, len(server.requests))
            server = self.serve(lambda request: [whole(502, BUSY)])
            with self.assertRaises(cellar.UnavailableError):
                call(server.url, one)
            self.assertEqual(1 + _retry.RETRIES, len(server.requests))

    def test_who_awaits_a_run_for_so_long_waits_no_longer_whether_anybody_is_there_or_not(self):
        def await_run(client):
            return client.cell("c").runs.await_("r", timeout_s=25)

        for call in CALLS:
            for is_there in (False, True):
                clock = mock.Mock(**{"monotonic.return_value": 0})

                def answer(request):
                    clock.monotonic.return_value += 10
                    return [whole(200, b'{"status": "running"}') if is_there else FakeServer.CUT]

                server = self.serve(answer)
                with mock.patch("cellar._sync.runs.time", clock), mock.patch("cellar._aio.runs.time", clock):
                    if is_there:
                        self.assertEqual("running", call(server.url, await_run)["status"])
                    else:
                        self.assertRaises(cellar.ConnectionError, call, server.url, await_run)
                self.assertEqual(["25", "15", "5"], [request[1].partition("timeout=")[2] for request in server.requests])

    def test_what_passes_not_is_not_tried_again_and_tries_have_an_end(self):
        paused = json.dumps({"error": "paused", "code": "crash_loop", "retryable": True}).encode()
        for call in CALLS:
            for answer, count in ((whole(503, paused), 1), (whole(507, BUSY), 1), (whole(400), 1), (whole(503, BUSY), 4),
                                  (whole(503, BUSY, retry_after=3600), 1)):
                server = self.serve(lambda request: [answer])
                with self.assertRaises(cellar.CellarError):
                    call(server.url, lambda client: client.cell("c").get())
                self.assertEqual(count, len(server.requests), answer)

    def test_who_waited_long_has_more_tries_only_where_a_connection_broke(self):
        request = Request("GET", "/", repeatable=True)
        never_sent = cellar.ConnectionError("nobody is there")
        never_sent.sent = False
        for error, is_over in ((cellar.TimedOutError("late", status=504, retryable=True), True), (never_sent, True),
                               (cellar.ConnectionError("it broke"), False)):
            tries = _retry.Tries()
            pauses = [tries.after(request, error, _retry.LONG_WAIT_S + 5) for _ in range(_retry.RETRIES + 1)]
            self.assertEqual(is_over, pauses[-1] is None, error)
            self.assertNotIn(None, pauses[:-1])

    def test_retry_after_is_waited_for(self):
        for call in CALLS:
            answers = [whole(429, BUSY, retry_after=1), whole(200)]
            server = self.serve(lambda request: [answers.pop(0)])
            begin = time.monotonic()
            call(server.url, lambda client: client.health())
            self.assertGreaterEqual(time.monotonic() - begin, 1.0)

    def test_a_delete_that_finds_nothing_was_done_by_the_try_before(self):
        for call in CALLS:
            answers = [[FakeServer.CUT], [whole(404, b'{"error": "no cell", "code": "cell_not_found"}')]]
            server = self.serve(lambda request: answers.pop(0))
            self.assertIsNone(call(server.url, lambda client: client.cells.delete("c")))

    def test_a_delete_that_never_came_so_far_has_not_removed_what_is_not_found(self):
        missing = whole(404, b'{"error": "no cell", "code": "cell_not_found"}')
        for call in CALLS:
            for first, is_done in ((whole(503, BUSY), False), (whole(429, BUSY), False), (whole(504, b""), True)):
                answers = [first, missing]
                server = self.serve(lambda request: [answers.pop(0)])
                if is_done:
                    call(server.url, lambda client: client.cells.delete("c"))
                else:
                    with self.assertRaises(cellar.NotFoundError):
                        call(server.url, lambda client: client.cells.delete("c"))
        tries = _retry.Tries()
        never_sent = cellar.ConnectionError("nobody is there")
        never_sent.sent = False
        request = Request("DELETE", "/", repeatable=True)
        tries.after(request, never_sent)
        self.assertFalse(_retry.is_done_already(request, cellar.NotFoundError("no cell"), tries))

    def test_a_delete_with_a_condition_is_sent_once(self):
        for call in CALLS:
            requests = []
            server = self.serve(lambda request: requests.append(request) or [FakeServer.CUT])
            with self.assertRaises(cellar.ConnectionError):
                call(server.url, lambda client: client.cell("c").files.delete("f", if_match='"1"'))
            self.assertEqual(1, len(requests))

    def test_content_is_text_or_bytes_in_one_or_in_pieces(self):
        async def awaited():
            for piece in ("ü", b"b", ""):
                yield piece

        good = [(lambda: "üb", "üb"), (lambda: memoryview(b"b"), "b"), (lambda: io.StringIO(""), ""), (lambda: io.BytesIO(b""), ""),
                (lambda: io.StringIO("ü" * 70_000), "ü" * 70_000), (lambda: io.BytesIO(b"b" * 70_000), "b" * 70_000),
                (lambda: ["ü", "", b"b"], "üb"), (lambda: (piece for piece in ("ü", bytearray(b"b"), memoryview(b"c"))), "übc")]
        for call in CALLS:
            for content, text in [*good, *([(awaited, "üb")] if call is async_call else [])]:
                server = self.serve(lambda request: [whole(200)])
                for verb in ("write", "append", "write_tar"):
                    call(server.url, lambda client: getattr(client.cell("c").files, verb)("f", content()))
                self.assertEqual([text.encode()] * 3, [request[3] for request in server.requests])
            for content in (None, 5, {"a": 1}, {"a"}, ["a", 5], io, object(), mock.Mock(read=lambda size: 5)):
                server = self.serve(lambda request: [whole(200)])
                with self.assertRaisesRegex(ValueError, "content must be text"):
                    call(server.url, lambda client: client.cell("c").files.write("f", content))
                self.assertEqual(0, server.connections)

    def test_a_path_with_dots_is_not_sent(self):
        for call in CALLS:
            for path in ("..", "../other/files/x", "a/../b"):
                with self.assertRaises(cellar.InvalidArgumentError):
                    call("http://127.0.0.1:1", lambda client, path=path: client.cell("c").files.read(path))

    def test_errors_have_all_that_the_server_says(self):
        body = json.dumps({"error": "no", "code": "x", "cause": "y", "remediation": "z", "retryable": True, "request_id": "q"}).encode()
        for call in CALLS:
            server = self.serve(lambda request: [whole(507, body)])
            with self.assertRaises(cellar.ExhaustedError) as found:
                call(server.url, lambda client: client.cell("c").exec("x"))
            error = found.exception
            self.assertEqual(("no", 507, "x", "y", "z", True, "q"), (error.message, error.status, error.code, error.cause,
                                                                   error.remediation, error.retryable, error.request_id))
            page = self.serve(lambda request: [whole(502, b"<html>bad gateway")])
            with self.assertRaisesRegex(cellar.UnavailableError, "502.*bad gateway"):
                call(page.url, lambda client: client.cell("c").exec("x"))

    def test_an_error_of_a_call_names_the_run_that_it_is_of(self):
        body = json.dumps({"error": "it broke", "code": "agent_error", "retryable": False}).encode()
        server = self.serve(lambda request: [whole(500, body, x_cellar_run="run_7")])
        calls = [(call, one) for call in CALLS for one in (lambda client: client.cell("c").request("m"),
                                                           lambda client: client.agents.call("m", customer_id="ada"))]
        for call, one in [*calls, *((items, lambda client: client.cell("c").stream("m")) for items in ITEMS)]:
            with self.assertRaises(cellar.AgentError) as found:
                call(server.url, one)
            self.assertEqual("run_7", found.exception.run)

    def test_a_redirect_is_told_as_one_and_not_followed(self):
        for call in CALLS:
            server = self.serve(lambda request: [whole(301, b"", location="https://cellar.example.com/")])
            with self.assertRaisesRegex(cellar.InvalidArgumentError, "answered 301 to https://cellar.example.com/: give that address as base_url"):
                call(server.url, lambda client: client.cell("c").runs.start("m"))
            self.assertEqual(1, len(server.requests))

    def test_time_is_limited(self):
        for call in CALLS:
            for pieces in ([], [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"]):
                server = self.serve(lambda request: pieces)
                with self.assertRaises(cellar.TimeoutError):
                    call(server.url, lambda client: client.health(), timeout_s=0.05)
                self.assertEqual(1, len(server.requests))

    def test_connections_are_kept_and_one_that_was_closed_is_not_used(self):
        async def both(client):
            await client.cell("c").exec("x")
            await asyncio.sleep(0)
            return await client.cell("c").exec("x")

        for call, twice in ((sync_call, lambda client: [client.cell("c").exec("x"), client.cell("c").exec("x")]), (async_call, both)):
            server = self.serve(lambda request: [whole(200)])
            call(server.url, twice)
            self.assertEqual((2, 1), (len(server.requests), server.connections))

    def test_a_connection_that_was_closed_meanwhile_is_not_used(self):
        def threads(client):
            client.cell("c").exec("x")
            self.assertTrue(has_news(client._core.transport._idle[0][1].sock, 10))
            return client.cell("c").exec("x")

        async def tasks(client):
            await client.cell("c").exec("x")
            self.assertTrue(has_news(client._core.transport._idle[0].writer.get_extra_info("socket"), 10))
            return await client.cell("c").exec("x")

        for call, twice in ((sync_call, threads), (async_call, tasks)):
            server = self.serve(lambda request: [whole(200), FakeServer.CLOSE])
            call(server.url, twice)
            self.assertEqual((2, 2), (len(server.requests), server.connections))

    def test_answers_and_their_heads_have_a_limit(self):
        for call, place in ((sync_call, "cellar._sync.transport"), (async_call, "cellar._aio.transport")):
            with mock.patch(f"{place}.ANSWER_BYTES_MAX", 10):
                server = self.serve(lambda request: [whole(200, b'"123456789"')])
                with self.assertRaises(cellar.TooLargeError):
                    call(server.url, lambda client: client.cell("c").exec("x"))
            server = self.serve(lambda request: [whole(200, x="y" * (1 << 17))])
            with self.assertRaises(cellar.ConnectionError):
                call(server.url, lambda client: client.cell("c").exec("x"))

    def test_an_answer_that_breaks_off_anywhere_is_no_answer(self):
        answer = whole(200, b'{"exit_code": 0}')
        for call in CALLS:
            for length in range(len(answer)):
                server = self.serve(lambda request: [answer[:length], FakeServer.CLOSE])
                with self.subTest(call=call.__name__, answer=answer[:length]), self.assertRaises(cellar.ConnectionError):
                    call(server.url, lambda client: client.cell("c").exec("x"))
                server.close()

    def test_idle_connections_have_a_limit(self):
        async def many(client):
            await asyncio.gather(*(client.health() for _ in range(12)))
            self.assertEqual(8, len(client._core.transport._idle))

        gate = threading.Barrier(12)
        server = self.serve(lambda request: [whole(200) if gate.wait(10) >= 0 else b""])
        async_call(server.url, many)

    def test_bad_settings_and_values_are_told_by_name(self):
        for client in (cellar.Cellar, cellar.AsyncCellar):
            with mock.patch.dict(os.environ, clear=True):
                for url, key, words in (("ftp://x", "k", "base_url"), ("http://x", None, "CELLAR_API_KEY"), ("http://x", "a\nb", "api_key"),
                                        ("http://u:p@x", "k", "password")):
                    with self.assertRaisesRegex(ValueError, words) as found:
                        client(url, key)
                    self.assertNotIn(repr(key), str(found.exception), "a key is in an error's text")
        for call in CALLS:
            with self.assertRaisesRegex(ValueError, "JSON"):
                call("http://127.0.0.1:1", lambda client: client.cell("c").request("m", {1, 2}))
            with self.assertRaisesRegex(ValueError, "method must be a text, and is 5"):
                call("http://127.0.0.1:1", lambda client: client.cell("c").request(5))
            for cmd in (5, ["a", 1], b"a"):
                with self.assertRaisesRegex(ValueError, "cmd must be a text or a list of texts"):
                    call("http://127.0.0.1:1", lambda client: client.cell("c").exec(cmd))
            with self.assertRaisesRegex(ValueError, "X-Customer-ID"):
                call("http://127.0.0.1:1", lambda client: client.agents.call("m", customer_id="a\r\nb"))
            with self.assertRaises(cellar.ConnectionError) as found:
                call("http://127.0.0.1:1", lambda client: client.cell("c").exec("x"))
            self.assertFalse(found.exception.sent)


def server_frame(opcode, data, last=True):
    size = len(data)
    length = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size) if size < 1 << 16 else b"\x7f" + struct.pack(">Q", size)
    return bytes([(0x80 if last else 0) | opcode]) + length + data


class WebSocketTest(Case):
    def attach(self, frames, accept=None):
        """`frames`: what each connection brings, or a function of its request that says so."""
        def answer(request):
            key = request[2]["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            good = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
            head = f"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept or good}\r\n\r\n".encode()
            data = head + (frames(request) if callable(frames) else frames)
            return [*(data[at:at + 7] for at in range(0, len(data), 7)), FakeServer.CLOSE]
        return self.serve(answer)

    def read(self, url):
        def threads():
            with cellar.Cellar(url, "k") as client, client.cell("c").processes.attach("p", after=3) as attachment:
                return b"".join(attachment), attachment.place, attachment.exit

        async def tasks():
            async with cellar.AsyncCellar(url, "k") as client:
                async with client.cell("c").processes.attach("p", after=3) as attachment:
                    return b"".join([data async for data in attachment]), attachment.place, attachment.exit
        return threads, lambda: asyncio.run(tasks())

    def test_messages_come_in_parts_and_pieces_and_between_pings(self):
        frames = (server_frame(2, b"ab", last=False) + server_frame(9, b"?") + server_frame(0, b"c" * 300) +
                  server_frame(1, b'{"type": "stale", "place": 1000}') + server_frame(2, b"d") +
                  server_frame(1, b'{"type": "exit", "exit_code": 4}') + server_frame(8, b"\x03\xe8"))
        for read in self.read(self.attach(frames).url):
            self.assertEqual((b"ab" + b"c" * 300 + b"d", 1001, {"exit_code": 4}), read())

    def test_what_breaks_the_protocol_is_a_connection_error(self):
        bad = (server_frame(0, b"x"), b"\xf2\x00", b"\x82\x80", server_frame(9, b"x" * 126))
        for frames in bad:
            for read in self.read(self.attach(frames).url):
                with self.assertRaises(cellar.ConnectionError):
                    read()
        for read in self.read(self.attach(b"\x82\x7f" + struct.pack(">Q", 1 << 40)).url):
            with self.assertRaises(cellar.TooLargeError):
                read()
        for read in self.read(self.attach(b"", accept="wrong").url):
            with self.assertRaisesRegex(cellar.ConnectionError, "Accept"):
                read()
        refused = self.serve(lambda request: [whole(404, b'{"error": "no process", "code": "process_not_found"}')])
        for read in self.read(refused.url):
            with self.assertRaises(cellar.NotFoundError):
                read()

    def test_output_that_is_cut_comes_with_each_byte_once(self):
        output, cuts = bytes(range(256)) * 40, 60
        chance = random.Random(SEED)

        def frames(request):
            at, told = int(request[1].partition("after=")[2]) - 3, b""
            while at < len(output):
                piece = output[at:at + chance.randint(1, 300)]
                at, told = at + len(piece), told + server_frame(2, piece)
            told += server_frame(1, b'{"type": "exit", "exit_code": 4}')
            if len(server.requests) % (cuts + 1) == 0:
                return told
            return chance.choice([told[:chance.randrange(400)], server_frame(8, b"\x03\xe8")])

        server = self.attach(frames)
        for read in self.read(server.url):
            with self.subTest(seed=SEED), mock.patch.object(_retry, "RECONNECTS", cuts):
                self.assertEqual((output, len(output) + 3, {"exit_code": 4}), read())
        self.assertEqual(2 * (cuts + 1), len(server.requests))

    def test_waiting_for_output_in_vain_costs_nothing(self):
        for threads in (True, False):
            go_on = threading.Event()
            late = self.attach(server_frame(2, b"x"))
            at_once = late.answer

            def slowly(request):
                *pieces, last, close = at_once(request)
                yield from pieces
                go_on.wait(10)
                yield last
                yield close

            late.answer = slowly

            async def tasks():
                async with cellar.AsyncCellar(late.url, "k") as client, client.cell("c").processes.attach("p") as attachment:
                    with self.assertRaises(cellar.TimeoutError):
                        await attachment.read(0.02)
                    go_on.set()
                    return await attachment.read(10)

            if threads:
                with cellar.Cellar(late.url, "k") as client, client.cell("c").processes.attach("p") as attachment:
                    with self.assertRaises(cellar.TimeoutError):
                        attachment.read(0.02)
                    go_on.set()
                    self.assertEqual(b"x", attachment.read(10))
            else:
                self.assertEqual(b"x", asyncio.run(tasks()))
            self.assertEqual(1, len(late.requests))

    def test_a_connection_that_does_not_come_back_is_given_up_and_waited_for_no_longer_than_asked(self):
        for read in self.read(self.attach(server_frame(8, b"")).url):
            with self.assertRaisesRegex(cellar.ConnectionError, "no other"):
                read()
        gone = [server_frame(2, b"x")]
        server = self.attach(lambda request: gone.pop())
        with cellar.Cellar(server.url, "k") as client, client.cell("c").processes.attach("p") as attachment:
            self.assertEqual(b"x", attachment.read())
            with mock.patch.object(_retry, "RECONNECT_PAUSE_MAX_S", 60), self.assertRaises(cellar.TimeoutError):
                attachment.read(0.05)

    def test_what_is_sent_while_there_is_no_connection_waits_for_the_next_one(self):
        def frames(request):
            return server_frame(2, b"x") if len(server.requests) == 1 else server_frame(1, b'{"type": "exit", "exit_code": 4}')

        server = self.attach(frames)
        pausing, go_on = threading.Event(), threading.Event()

        def sleep(_):
            pausing.set()
            self.assertTrue(go_on.wait(10))

        with mock.patch("cellar._sync.processes.sleep", sleep), cellar.Cellar(server.url, "k") as client:
            with client.cell("c").processes.attach("p") as attachment:
                self.assertEqual(b"x", attachment.read())
                reader = threading.Thread(target=attachment.read)
                reader.start()
                self.assertTrue(pausing.wait(10))
                writer = threading.Thread(target=attachment.send, args=("y",))
                writer.start()
                self.assertEqual(1, len(server.requests))
                go_on.set()
                reader.join()
                writer.join()
                self.assertEqual({"exit_code": 4}, attachment.exit)
        self.assertEqual(2, len(server.requests))


if __name__ == "__main__":
    unittest.main()
