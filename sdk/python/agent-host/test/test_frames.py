import unittest

import fake_daemon  # noqa: F401  Where the host's modules are.
from cellar_agent.frames import FrameParser, encode

SIZES = [0, 1, 7, 8, 100, 5000, 70_000, 300_000, 3, 65_536, 0]


class FramesTest(unittest.TestCase):
    def test_frames_come_whole_however_they_are_cut(self):
        frames = [({"n": n, "x": "é" * n}, (b"ab" * size)[:size]) for n, size in enumerate(SIZES)]
        everything = b"".join(encode(header, body) for header, body in frames)
        for cut in (1, 3, 7, 8, 1000, 65_536, len(everything)):
            taken = []
            parser = FrameParser(lambda header, body: taken.append((header, bytes(body))))
            for at in range(0, len(everything), cut):
                parser.feed(everything[at:at + cut])
            self.assertEqual(frames, taken, f"{cut} bytes at a time")


if __name__ == "__main__":
    unittest.main()
