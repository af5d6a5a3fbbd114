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

    def test_what_taking_one_raises_loses_no_other(self):
        taken = []

        def take(header, body):
            taken.append(header["n"])
            if header["n"] == 1:
                raise ValueError("it cannot be taken")
        parser = FrameParser(take)
        everything = b"".join(encode({"n": n}, b"body") for n in range(4))
        with self.assertRaises(ValueError):
            parser.feed(everything[:-3])
        parser.feed(everything[-3:])
        self.assertEqual([0, 1, 2, 3], taken)


if __name__ == "__main__":
    unittest.main()
