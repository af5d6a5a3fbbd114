"""Makes of a list of words, one a line, a hash table that a program reads as it is (src/search/model.cc):
hash_words.py WORDS OUT. A word's number is its line's, from 0."""
import pathlib
import struct
import sys

SLOT_COUNT = 1 << 16
BYTES_MAX = 24


def fnv1a(word):
    value = 0x811C9DC5
    for byte in word:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def main(source, out):
    words = pathlib.Path(source).read_bytes().splitlines()
    if len(words) * 2 > SLOT_COUNT or len(set(words)) != len(words):
        sys.exit(f"{source}: {len(words)} words, at most {SLOT_COUNT // 2}, each once")
    slots = [0] * SLOT_COUNT  # A word's number plus 1; 0 is an empty slot.
    ends = [0]
    for number, word in enumerate(words):
        if not 0 < len(word) <= BYTES_MAX:
            sys.exit(f"{source}:{number + 1}: a word has 1 to {BYTES_MAX} letters")
        at = fnv1a(word) % SLOT_COUNT
        while slots[at]:
            at = (at + 1) % SLOT_COUNT
        slots[at] = number + 1
        ends.append(ends[-1] + len(word))
    table = struct.pack(f"<{SLOT_COUNT}H", *slots) + struct.pack(f"<{len(ends)}I", *ends) + b"".join(words)
    pathlib.Path(out).write_bytes(table)


if __name__ == "__main__":
    main(*sys.argv[1:])
