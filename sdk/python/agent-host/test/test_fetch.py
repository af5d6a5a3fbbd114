import contextlib
import email.utils
import http.server
import json
import socket
import threading
import unittest
import urllib.parse

from fake_daemon import agent, host, plain


@contextlib.contextmanager
def server(handle):
    """The address of a server that notes what it is asked; handle(handler, count) answers."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            asked.append({"method": self.command, "path": self.path, "body": body})
            handle(self, len(asked))

        do_GET = do_POST = do_PUT = answer

        def give(self, status, body="", **headers):
            body = body.encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, address):
            pass  # The client has gone: that is what some tests do.

    with Server(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}/", asked
        finally:
            listening.shutdown()


FETCH = '''
    r = {a}ctx.fetch(params["url"], **params["options"])
    return [r.ok, r.status, r.status_text, r.text(), r.headers["x-asked"], r["body"]]'''
FORMS = (agent(FETCH.format(a="await ")), plain(FETCH.format(a="")))


class FetchTest(unittest.TestCase):
    def test_a_fetch_is_a_step_tried_again_after_503_and_429_its_answer_is_the_same_on_replay(self):
        def handle(handler, count):
            now = "0.001" if count == 1 else email.utils.formatdate(usegmt=True)  # Both forms of it.
            handler.give({1: 503, 2: 429}.get(count, 201), '{"a":1}', retry_after=now, x_asked=str(count))

        for source in FORMS:
            with server(handle) as (url, asked):
                params = {"url": url, "options": {"headers": {"a": "b"}, "body": "question"}}
                with host(source) as daemon:
                    first = daemon.ended("main", params)
                    replay = daemon.recorded()
                    self.assertEqual([True, 201, "Created", '{"a":1}', "3", '{"a":1}'], first.value)
                    self.assertEqual([{"method": "POST", "path": "/", "body": "question"}] * 3, asked)
                    self.assertEqual(["fetch", f"POST {url}"], replay[0][1:3])
                with host(source) as daemon:
                    daemon.run(params=params, replay=replay)
                    self.assertEqual(first.value, daemon.end().value)
                    self.assertEqual(["hello", "end"], daemon.types())
                    params["options"]["body"] = "other"  # Another question is another step.
                    daemon.run(params=params, id="b", replay=replay)
                    daemon.next("mismatch")
                self.assertEqual(3, len(asked))

    def test_a_status_that_stays_bad_is_given_as_it_is(self):
        with server(lambda h, count: h.give(500, "broken", retry_after="0")) as (url, asked):
            with host(agent('''
                r = await ctx.fetch(params["url"], retries=1)
                try:
                    r.json()
                except ValueError:
                    return [r.ok, r.status, r.body]''')) as daemon:
                self.assertEqual([False, 500, "broken"], daemon.ended("main", {"url": url}).value)
            self.assertEqual(2, len(asked))

    def test_values_are_sent_as_json_redirects_followed_and_other_statuses_given(self):
        def handle(handler, count):
            if handler.path == "/from":
                handler.give(302, location="/to")
            else:
                handler.give(404 if handler.path == "/none" else 200, '{"é":1}')

        with server(handle) as (url, asked), host(agent('''
                a = await ctx.fetch(params["url"], json={"é": [1]}, method="put")
                b = await ctx.fetch(params["url"] + "from")
                c = await ctx.fetch(params["url"] + "none")
                return [a.status, b.status, b.json(), c.status, c.ok]''')) as daemon:
            ended = daemon.ended("main", {"url": url})
            self.assertTrue(ended.ok, ended)
            self.assertEqual([200, 200, {"é": 1}, 404, False], ended.value)
            self.assertEqual({"method": "PUT", "path": "/", "body": '{"\\u00e9":[1]}'}, asked[0])
            self.assertEqual(["/from", "/to"], [request["path"] for request in asked[1:3]])

    def test_a_redirect_to_another_origin_takes_no_credentials_along(self):
        def show(handler, count):
            names = ("authorization", "cookie", "accept", "host")
            handler.give(200, json.dumps([handler.headers[name] for name in names]))

        def redirect(handler, count):
            if handler.path == "/shown":
                show(handler, count)
            else:
                handler.give(302, location=f"{other}shown" if handler.path == "/away" else "/shown")

        with server(show) as (other, _), server(redirect) as (url, _), host(agent('''
                headers = {"Authorization": "Bearer key", "Cookie": "a=1", "Accept": "x/y"}
                return [(await ctx.fetch(params["url"] + path, headers=headers)).json()
                        for path in ("here", "away")]''')) as daemon:
            near, far = (urllib.parse.urlsplit(one).netloc for one in (url, other))
            self.assertEqual([["Bearer key", "a=1", "x/y", near], [None, None, "x/y", far]],
                             daemon.ended("main", {"url": url}).value)

    def test_what_does_not_answer_is_an_error_with_a_code_the_same_on_replay(self):
        held = threading.Event()
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        with server(lambda h, count: held.wait(20)) as (url, _), host(agent('''
                told = []
                for url, options in ((params["url"], {"timeout_ms": 50}), (params["nobody"], {})):
                    try:
                        await ctx.fetch(url, retries=0, **options)
                    except ctx.errors.Error as error:
                        told.append([error.code, str(error)])
                return told''')) as daemon:
            late, refused = daemon.ended("main", {"url": url, "nobody": nobody}).value
            self.assertEqual(["fetch_timeout", f"fetch {url}: no answer within 50 ms"], late)
            self.assertEqual("ECONNREFUSED", refused[0])
            daemon.run(params={"url": url, "nobody": nobody}, id="again", replay=daemon.recorded())
            self.assertEqual([late, refused], daemon.end("again").value)
            held.set()

    def test_a_name_that_is_not_known_is_told_with_what_lets_the_cell_reach_it(self):
        with host(agent('''
                import socket
                def unknown(*_, **__):
                    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
                socket.getaddrinfo = unknown
                try:
                    await ctx.fetch("https://api.test/v1", retries=0)
                except ctx.errors.Error as error:
                    return str(error)''')) as daemon:
            told = daemon.ended("main", {}).value
            self.assertTrue(told.endswith(" (if the cell may not reach it: cellar network dev--test allow api.test)"), told)

    def test_cancelling_ends_a_request_and_the_wait_for_the_next_one(self):
        held = threading.Event()

        def handle(handler, count):
            if handler.path == "/wait":
                held.wait(20)
            handler.give(503, retry_after="30")

        with server(handle) as (url, asked), host(agent('''
                told = await asyncio.gather(ctx.fetch(params["url"] + "wait"), ctx.fetch(params["url"]),
                                            return_exceptions=True)
                return [error.code for error in told]''')) as daemon:
            daemon.run(params={"url": url})
            daemon.until("both are asked", lambda: len(asked) == 2)
            daemon.send({"t": "cancel", "run": "run_1"})
            self.assertEqual(["canceled", "canceled"], daemon.end().value)
            held.set()

    def test_inside_a_step_a_fetch_is_part_of_it_and_what_is_no_address_is_no_step(self):
        with server(lambda h, count: h.give(200, "x")) as (url, _), host(agent('''
                async def inside():
                    return (await ctx.fetch(params["url"])).body
                seen = [await ctx.step("s", inside)]
                for url in ("no address", "ftp://a/b", "http://"):
                    try:
                        await ctx.fetch(url)
                    except ctx.errors.Error as error:
                        seen.append(error.code)
                return seen''')) as daemon:
            self.assertEqual(["x", *["invalid_url"] * 3], daemon.ended("main", {"url": url}).value)
            self.assertEqual(1, len(daemon.of("cmd")))
