#!/usr/bin/env python3
"""Makes the files of src/search/model of a trained model: quantise.py VOCABULARY ROWS.f32 OUT_FOLDER [--words N]

Of each of the first N rows the largest number becomes 127, and the row's scale what it was divided by.
"""
import argparse
import array
import pathlib
import sys

VALUE_MAX = 127


def quantise(row):
    """([integers], scale) of a row of floats."""
    largest = max(map(abs, row))
    if largest == 0:
        return [0] * len(row), 0.0
    scale = largest / VALUE_MAX
    return [round(value / scale) for value in row], scale


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vocabulary", type=pathlib.Path)
    parser.add_argument("rows", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--words", type=int, default=30_000)
    arguments = parser.parse_args()
    words = arguments.vocabulary.read_text().splitlines()
    rows = array.array("f", arguments.rows.read_bytes())
    dimensions, rest = divmod(len(rows), len(words))
    if rest or sys.byteorder != "little":
        sys.exit(f"{arguments.rows}: not so many rows as {arguments.vocabulary} has words, or not this machine's order of bytes")
    words = words[:arguments.words]
    values, scales = array.array("b"), array.array("f")
    for number in range(len(words)):
        integers, scale = quantise(rows[number * dimensions:(number + 1) * dimensions])
        values.extend(integers)
        scales.append(scale)
    stem = f"{len(words) // 1000}k"
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"vocab-{stem}.txt").write_text("".join(word + "\n" for word in words))
    (arguments.out / f"codevec-{stem}-{dimensions}.i8").write_bytes(values.tobytes())
    (arguments.out / f"codevec-{stem}-{dimensions}.scale.f32").write_bytes(scales.tobytes())


if __name__ == "__main__":
    main()
