"""HTTP that tries again: what it gives is plain data, so that a journal can hold it."""
import asyncio
import base64
import datetime
import email.utils
import errno
import http.client
import json
import os
import random
import socket
import time
import urllib.error
import urllib.parse
import urllib.request

from .errors import Error
from .records import Record
from .values import NOTHING

FIRST_PAUSE_MS = 500
LONGEST_PAUSE_MS = 30_000
FOR_ONE_ORIGIN = ("authorization", "cookie", "host", "proxy-authorization")


class Response(Record):
    """{ok, status, status_text, headers, body}."""

    def text(self):
        return self["body"]

    def json(self):
        return json.loads(self["body"])


class Request:
    """A request as plain data. Raises for what no request can be made of."""

    def __init__(self, url, method=None, headers=None, body=None, json_body=NOTHING):
        self.url = str(url)
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Error(f'"{self.url}" is no address of http or https', code="invalid_url")
        self.headers = {str(name).lower(): str(value) for name, value in (headers or {}).items()}
        if json_body is not NOTHING:
            body = json.dumps(json_body, separators=(",", ":"))
            self.headers.setdefault("content-type", "application/json")
        if body is not None and not isinstance(body, (str, bytes, bytearray)):
            raise Error("the body of ctx.fetch must be a text or bytes; json=… takes values",
                        code="invalid_body")
        self.body = body.encode() if isinstance(body, str) else body
        self.method = str(method or ("GET" if body is None else "POST")).upper()

    def identity(self):
        """What makes two requests the same."""
        body = None if self.body is None else base64.b64encode(self.body).decode()
        return {"url": self.url, "method": self.method, "headers": self.headers, "body": body}


class Exchange:
    """One request on its way, in a thread. abort(), from the loop, ends it."""

    def __init__(self, request):
        self._request = request
        self._sockets = []
        self._is_aborted = False

    def abort(self):
        self._is_aborted = True
        for one in self._sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except (OSError, ValueError):
                pass  # It has ended.

    def _connected(self, one):
        self._sockets.append(one)
        if self._is_aborted:
            self.abort()

    def perform(self):
        """The data of the response. Raises Error."""
        request = urllib.request.Request(self._request.url, data=self._request.body,
                                         headers=self._request.headers, method=self._request.method)
        try:
            with self._opener().open(request) as response:
                return self._data(response)
        except urllib.error.HTTPError as response:  # A status of 400 and above.
            with response:
                return self._data(response)
        except Exception as error:
            raise _failure_of(self._request.url, error) from None

    def _opener(self):
        opener = urllib.request.OpenerDirector()
        for handler in (_handler(self._connected, urllib.request.HTTPHandler,
                                 http.client.HTTPConnection, "http_open"),
                        _handler(self._connected, urllib.request.HTTPSHandler,
                                 http.client.HTTPSConnection, "https_open"),
                        _Redirects(), urllib.request.HTTPErrorProcessor(),
                        urllib.request.HTTPDefaultErrorHandler(), urllib.request.UnknownHandler()):
            opener.add_handler(handler)
        return opener

    @staticmethod
    def _data(response):
        headers = {}
        for name, value in response.headers.items():
            name = name.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return {"status": response.status, "status_text": response.reason or "", "headers": headers,
                "body": response.read().decode("utf-8-sig", "replace")}


class _Redirects(urllib.request.HTTPRedirectHandler):
    """To another origin no credentials go along: urllib alone would send them."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        redirected = super().redirect_request(req, fp, code, msg, headers, newurl)
        if redirected is not None and _origin_of(newurl) != _origin_of(req.full_url):
            redirected.headers = {name: value for name, value in redirected.headers.items()
                                  if name.lower() not in FOR_ONE_ORIGIN}
        return redirected


def _origin_of(url):
    parts = urllib.parse.urlsplit(url)
    return (parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme))


def _handler(connected, handler_kind, connection_kind, opens):
    """A handler of urllib's that tells of each socket."""
    class Connection(connection_kind):
        def connect(self):
            super().connect()
            connected(self.sock)

    class Handler(handler_kind):
        pass

    def open_with(self, request):
        return self.do_open(Connection, request)

    setattr(Handler, opens, open_with)
    return Handler()


def _failure_of(url, error):
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    number = getattr(cause, "errno", None)
    code = errno.errorcode.get(number) if isinstance(number, int) else None
    return Error(f"fetch {url}: {cause}{_remedy_of(url, cause)}", code=code or "fetch_failed")


def _remedy_of(url, cause):
    """A name that the cell's network policy does not list is one that nobody knows."""
    if not isinstance(cause, socket.gaierror) or cause.errno != socket.EAI_NONAME:
        return ""
    cell = os.environ.get("CELLAR_CELL_ID") or "CELL"
    host = urllib.parse.urlsplit(url).hostname
    return f" (if the cell may not reach it: cellar network {cell} allow {host})"


def _asked_pause_ms(response):
    """Seconds or a date."""
    asked = response["headers"].get("retry-after")
    if not asked:
        return None
    try:
        return max(0, float(asked) * 1000)
    except ValueError:
        pass
    try:
        date = email.utils.parsedate_to_datetime(asked)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.timezone.utc)
    return max(0, (date.timestamp() - time.time()) * 1000)


def _pause_ms(attempt, response):
    asked = None if response is None else _asked_pause_ms(response)
    own = FIRST_PAUSE_MS * 2 ** attempt * (0.5 + random.random())
    return min(LONGEST_PAUSE_MS, own if asked is None else asked)


async def _attempt(loop, request, timeout_ms):
    exchange = Exchange(request)
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            return await loop.run_in_executor(loop.run_threads, exchange.perform)
    except TimeoutError:
        exchange.abort()
        raise Error(f"fetch {request.url}: no answer within {timeout_ms:g} ms",
                    code="fetch_timeout") from None
    except asyncio.CancelledError:
        exchange.abort()
        raise


async def perform(loop, request, timeout_ms, retries):
    """{status, status_text, headers, body} of the last attempt. A status of 429 or 5xx is tried again,
    and given as it is in the end; only a network error raises."""
    for attempt in range(retries + 1):
        is_last = attempt == retries
        response = None
        try:
            response = await _attempt(loop, request, timeout_ms)
            if is_last or (response["status"] != 429 and response["status"] < 500):
                return response
        except Error:
            if is_last:
                raise
        await asyncio.sleep(_pause_ms(attempt, response) / 1000)


def to_response(data):
    return Response(data, ok=200 <= data["status"] < 300)
