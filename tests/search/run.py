#!/usr/bin/env python3
"""The quality of code search on this project's own sources: tests/search/run.py SEARCH_EVAL

Asks each query of queries.tsv, whose answers were chosen by hand: any one of the named files will do. A query scores
1/log2(rank + 1) of the first of them in the ten best hits, as NDCG@10 does. Fails below the floor, or where plain BM25 comes
near, and prints what came first where an answer is not. A label that names a file that is gone fails, too: name the file that
has the code now.
"""
import collections
import math
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FLOOR = 0.66  # Code that is added shifts the score by a hundredth or two.
LEAD_MIN = 0.05  # before plain BM25
QUERIES_MIN = 30


def read_queries():
    """{folder: [(query, answers)]}"""
    queries = collections.defaultdict(list)
    for line in (HERE / "queries.tsv").read_text().splitlines()[1:]:
        folder, query, answers = line.split("\t")
        gone = [answer for answer in answers.split() if not (ROOT / answer).is_file()]
        if gone:
            sys.exit(f"queries.tsv: {query!r} names {', '.join(gone)}, which is no file: name the one that has its code now")
        queries[folder].append((query, answers.split()))
    return queries


def ask(program, folder, queries, *mode):
    """The paths of each query's hits, best first."""
    done = subprocess.run([program, str(ROOT), folder, *mode], input="".join(query + "\n" for query in queries), text=True,
                          capture_output=True, check=True)
    return [[line.split("\t")[0] for line in answer.split("\n") if line] for answer in done.stdout.split("\n\n")[:len(queries)]]


def score(hits, answers):
    rank = next((rank for rank, hit in enumerate(hits, 1) if hit in answers), None)
    return 1 / math.log2(rank + 1) if rank else 0


def main(program):
    scores, plain = [], []
    for folder, rows in read_queries().items():
        queries = [query for query, _ in rows]
        for (query, answers), hits in zip(rows, ask(program, folder, queries), strict=True):
            scores.append(score(hits, answers))
            if scores[-1] < 1:
                print(f"{scores[-1]:.2f} {query!r}: {' '.join(answers)}, but first came {' '.join(hits[:3]) or 'nothing'}")
        plain += [score(hits, answers) for (_, answers), hits in zip(rows, ask(program, folder, queries, "bm25"), strict=True)]
    if len(scores) < QUERIES_MIN:
        sys.exit(f"queries.tsv: {len(scores)} queries, at least {QUERIES_MIN}")
    mean, lead = statistics.mean(scores), statistics.mean(scores) - statistics.mean(plain)
    print(f"{mean:.3f} over {len(scores)} queries, at least {FLOOR}; {lead:.3f} more than plain BM25, at least {LEAD_MIN}")
    return 0 if mean >= FLOOR and lead >= LEAD_MIN else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
