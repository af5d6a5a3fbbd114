"""Server-sent events out of pieces of any size."""
import unittest
from unittest import mock

import cellar
from cellar import _sse
from cellar._sse import EventParser, SentEvent

TEXT = ("\ufeff: comment\nid: 7\nevent: a\ndata: ü\ndata:  two\n\ndata\n\n\nid: 8\n\nretry: 250\nretry: x\r\ndata: r\r\rdata: n\n\r\n"
        "id: a\0b\ndata: cut").encode()
EVENTS = [SentEvent("7", "a", "ü\n two"), SentEvent(None, "message", ""), SentEvent(None, "message", "r"),
          SentEvent(None, "message", "n")]


class ParserTest(unittest.TestCase):
    def test_pieces_of_every_size_give_the_same_events(self):
        for size in range(1, len(TEXT) + 1):
            parser = EventParser()
            found = [event for at in range(0, len(TEXT), size) for event in parser.feed(TEXT[at:at + size])]
            self.assertEqual((EVENTS, 0.25), (found, parser.retry_s), size)

    def test_an_event_has_a_limit_and_a_stream_has_none(self):
        with mock.patch.object(_sse, "EVENT_BYTES_MAX", 100):
            parser = EventParser()
            for _ in range(50):
                parser.feed(b": heartbeat\n\n")
                self.assertEqual(1, len(parser.feed(b"data: " + b"x" * 60 + b"\n\n")))
            with self.assertRaises(cellar.TooLargeError):
                for _ in range(3):
                    parser.feed(b"data: " + b"x" * 40 + b"\n")
            with self.assertRaises(cellar.TooLargeError):
                EventParser().feed(b"x" * 101)


if __name__ == "__main__":
    unittest.main()
