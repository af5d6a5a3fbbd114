#!/usr/bin/env python3
"""Makes numbers of pairs: prepare.py PAIRS.jsonl OUT_FOLDER [--words N] [--seed N]

OUT_FOLDER/vocabulary.txt  one word a line, frequent ones first: a word's number is its line's, from 0
OUT_FOLDER/pairs.bin       for each pair, in random order: u32 count of the comment's words, u32 count of the code's, and their
                           numbers as u32, all little-endian; the words of the file's name and folder belong to the code
Words are those that the index of search makes (src/search/words.cc): parts of identifiers, lower case, no numbers. A word
outside of the vocabulary stands for its longest pieces in it of at least three letters.
"""
import argparse
import array
import collections
import functools
import json
import pathlib
import random
import re
import sys

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
WORD_LETTERS_MAX = 24
COMMENT_WORDS, CODE_WORDS, PATH_WORDS = 48, 320, 8  # At most so many.
COMMENT_WORDS_MIN, CODE_WORDS_MIN = 3, 6
WORD_COUNT_MIN = 8  # What is rarer is no word of the vocabulary.
PIECE_LETTERS_MIN = 3


def words_of(text):
    return [part.lower()[:WORD_LETTERS_MAX] for identifier in IDENTIFIER.findall(text) for part in PART.findall(identifier)]


def read_pairs(lines):
    """[(words of the comment, words of the code and the path)]"""
    pairs = []
    for line in lines:
        pair = json.loads(line)
        comment, code = words_of(pair["comment"])[:COMMENT_WORDS], words_of(pair["code"])[:CODE_WORDS]
        if len(comment) < COMMENT_WORDS_MIN or len(code) < CODE_WORDS_MIN:
            continue
        names = pair["path"].rsplit(".", 1)[0].split("/")[-2:]
        pairs.append((comment, code + words_of(" ".join(names))[:PATH_WORDS]))
    return pairs


def make_vocabulary(pairs, word_count):
    """The most frequent words; of equally frequent ones the first in the alphabet."""
    counts = collections.Counter(word for pair in pairs for words in pair for word in words)
    frequent = sorted((-count, word) for word, count in counts.items() if count >= WORD_COUNT_MIN)
    return [word for _, word in frequent[:word_count]]


def make_encoder(vocabulary):
    """A function from a word to the numbers that stand for it."""
    numbers = {word: number for number, word in enumerate(vocabulary)}

    @functools.lru_cache(1 << 20)
    def encode(word):
        if word in numbers:
            return (numbers[word],)
        found, start = [], 0
        while start + PIECE_LETTERS_MIN <= len(word):
            for end in range(len(word), start + PIECE_LETTERS_MIN - 1, -1):
                if word[start:end] in numbers:
                    found.append(numbers[word[start:end]])
                    start = end
                    break
            else:
                start += 1
        return tuple(found)

    return encode


def to_bytes(pair):
    data = array.array("I", [len(pair[0]), len(pair[1]), *pair[0], *pair[1]])
    if sys.byteorder == "big":
        data.byteswap()
    return data.tobytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--words", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with open(arguments.pairs) as file:
        pairs = read_pairs(file)
    vocabulary = make_vocabulary(pairs, arguments.words)
    encode = make_encoder(vocabulary)
    random.Random(arguments.seed).shuffle(pairs)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "vocabulary.txt").write_text("".join(word + "\n" for word in vocabulary))
    kept = 0
    with open(arguments.out / "pairs.bin", "wb") as file:
        for pair in pairs:
            comment, code = ([number for word in words for number in encode(word)] for words in pair)
            if len(comment) >= 2 and len(code) >= 4:
                file.write(to_bytes((comment, code)))
                kept += 1
    print(f"{kept} pairs, {len(vocabulary)} words")


if __name__ == "__main__":
    main()
