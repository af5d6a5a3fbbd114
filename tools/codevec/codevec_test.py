#!/usr/bin/env python3
"""Tests of the steps from sources to a model, on a small made-up corpus: codevec_test.py CODEVEC_TRAIN"""
import array
import io
import pathlib
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import mine  # noqa: E402
import prepare  # noqa: E402
import quantise  # noqa: E402

TRAINER = "codevec_train"
C_FILE = """#include <stdio.h>

/*
 * Reads the <b>settings</b> of the user from a file. The file need not exist, and then none are set.
 * @param path where it is
 */
int load_settings(const char *path)
{
    return parse_file(path, open(path));
}

// Copyright 2020 by the authors of this file, all rights reserved.
int copyright_line(void) { return 1 + 1 + 1 + 1; }

// x
int no_sentence(void) { return 2 + 2 + 2 + 2 + 2; }
"""
PYTHON_FILE = '''class Cache:
    def evict(self, key):
        """Removes an entry that nobody asked for lately.

        :param key: its name
        """
        del self.entries[key]
        self.size -= 1

# Opens a connection to the server and waits.
def connect(host):
    return socket.create_connection(host)
'''


def made_up_words(count, seed):
    source = random.Random(seed)
    words = set()
    while len(words) < count:
        words.add("".join(source.choice("bdfgklmnprstvz") + source.choice("aeiou") for _ in range(3)))
    return sorted(words)


def corpus():
    """A C file of 1,200 functions about 40 things; comments and code use different words for the same thing."""
    source = random.Random(1)
    words = made_up_words(320, 2)
    text = []
    for _ in range(30):
        for topic in range(40):
            of_comment, of_code = words[topic * 8:topic * 8 + 4], words[topic * 8 + 4:topic * 8 + 8]
            said, done = source.sample(of_comment, 3), source.sample(of_code, 3)
            text.append(f"// This will {said[0]} the {said[1]} with {said[2]} number {source.choice(words)} here\n"
                        f"int {done[0]}_{done[1]}(int value) {{\n    return {done[2]}(value, value + 1);\n}}\n\n")
    return "".join(text)


def archive_of(folder, files):
    path = folder / "made-up_1.0.orig.tar.xz"
    with tarfile.open(path, "w:xz") as tar:
        for name, text in files.items():
            data = text.encode() + b"\n" * max(0, 200 - len(text.encode()))
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


class MineTest(unittest.TestCase):
    def test_a_comment_goes_with_the_code_below_it(self):
        [(comment, code)] = mine.pairs_of(C_FILE, ".c")
        self.assertEqual("Reads the settings of the user from a file.", comment[:43])
        self.assertTrue(code.startswith("int load_settings(") and code.rstrip().endswith("}"))
        self.assertNotIn("copyright", code)

    def test_a_docstring_goes_with_its_function_without_itself(self):
        found = dict(mine.pairs_of(PYTHON_FILE, ".py"))
        self.assertEqual({"Removes an entry that nobody asked for lately.", "Opens a connection to the server and waits."},
                         set(found))
        evict = found["Removes an entry that nobody asked for lately."]
        self.assertIn("del self.entries[key]", evict)
        self.assertNotIn("nobody", evict)

    def test_files_of_tests_and_of_the_benchmark_are_left_out_and_damage_ends_an_archive(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            archive = archive_of(folder, {"a/src/x.c": C_FILE, "a/tests/y.c": C_FILE.replace("settings", "options"),
                                          "curl-8/lib/z.c": C_FILE.replace("settings", "urls"), "a/b.txt": C_FILE,
                                          "a/copy.c": C_FILE})
            self.assertEqual(["a/src/x.c"], [pair["path"] for pair in mine.mine(str(archive))])
            archive.write_bytes(archive.read_bytes()[:50])
            self.assertEqual([], mine.mine(str(archive)))


class PrepareTest(unittest.TestCase):
    def test_words_are_those_of_the_index(self):
        # The same examples as in src/search/words_test.cc.
        for text, words in (("parseConfig", "parse config"), ("HTTPServerError", "http server error"),
                            ("parseHTTPRequest_v2", "parse http request v"), ("utf8Decode", "utf decode"),
                            ("__init__", "init"), ("MAX_SIZE", "max size"), ("a_b = 3x + c2(d->e);", "a b x c d e")):
            self.assertEqual(words.split(), prepare.words_of(text))

    def test_an_unknown_word_is_its_longest_known_pieces(self):
        encode = prepare.make_encoder(["parse", "config", "con", "fig"])
        self.assertEqual((0,), encode("parse"))
        self.assertEqual((0, 1), encode("parsexconfig"))
        self.assertEqual((2,), encode("conx"))
        self.assertEqual((), encode("xy"))

    def test_the_shipped_vocabulary_is_made_of_such_words(self):
        words = (HERE.parents[1] / "src/search/model/vocab-30k.txt").read_text().split("\n")[:-1]
        self.assertEqual(30_000, len(set(words)))
        self.assertTrue(all(re.fullmatch("[a-z]{1,24}", word) for word in words))


class QuantiseTest(unittest.TestCase):
    def test_the_largest_number_is_127_and_none_is_off_by_more_than_half_a_step(self):
        row = [0.5, -1.0, 0.25, 0.0]
        integers, scale = quantise.quantise(row)
        self.assertEqual([64, -127, 32, 0], integers)
        self.assertTrue(all(abs(value - integer * scale) <= scale / 2 + 1e-9 for value, integer in zip(row, integers)))
        self.assertEqual(([0, 0], 0.0), quantise.quantise([0.0, 0.0]))


class AllStepsTest(unittest.TestCase):
    def make(self, folder, *options):
        """The trainer's output, and the bytes of the model."""
        folder.mkdir()
        archive = archive_of(folder, {"made-up/lib/all.c": corpus()})
        run = lambda *words: subprocess.run(words, check=True, capture_output=True, text=True).stdout
        run(sys.executable, HERE / "mine.py", folder / "pairs.jsonl", archive)
        run(sys.executable, HERE / "prepare.py", folder / "pairs.jsonl", folder)
        said = run(TRAINER, folder, "--dimensions", "16", "--batch", "64", "--epochs", "6", *options)
        run(sys.executable, HERE / "quantise.py", folder / "vocabulary.txt", folder / "rows.f32", folder / "model")
        return said, {path.name: path.read_bytes() for path in sorted((folder / "model").iterdir())}

    def test_a_model_finds_code_by_comments_that_share_no_word_with_it_and_is_made_again_the_same(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            said, files = self.make(folder / "first")
            ranks = [float(rank) for rank in re.findall(r"held-out MRR ([0-9.]+)", said)]
            self.assertEqual(6, len(ranks))
            self.assertGreater(ranks[-1], 0.6)  # By chance .16.
            self.assertEqual(["codevec-0k-16.i8", "codevec-0k-16.scale.f32", "vocab-0k.txt"], sorted(files))
            words = files["vocab-0k.txt"].decode().split()
            self.assertEqual(len(words) * 16, len(files["codevec-0k-16.i8"]))
            self.assertEqual(127, max(array.array("b", files["codevec-0k-16.i8"])))
            self.assertEqual((said, files), self.make(folder / "second"))
            self.assertNotEqual(files, self.make(folder / "third", "--seed", "8")[1])

    def test_the_trainer_refuses_what_it_cannot_use(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "vocabulary.txt").write_text("a\nb\n")
            for pairs, options, reason in ((b"", (), "fewer pairs"), (b"\1\0\0\0", (), "fewer pairs"),
                                           (array.array("I", [1, 1, 0, 2]).tobytes(), (), "damaged"),
                                           (array.array("I", [1, 1, 0]).tobytes(), (), "damaged"),
                                           (array.array("I", [1, 0, 0]).tobytes(), (), "damaged"),
                                           (b"", ("--batch", "0"), "at least 1"), (b"", ("--batch",), "no option"),
                                           (b"", ("--colour", "1"), "no option"), (b"", ("--seed", "1x"), "no number")):
                (folder / "pairs.bin").write_bytes(pairs)
                done = subprocess.run([TRAINER, folder, *options], capture_output=True, text=True, check=False)
                self.assertEqual(1, done.returncode)
                self.assertIn(reason, done.stderr)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    TRAINER = sys.argv.pop(1)
    unittest.main()
