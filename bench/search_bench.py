#!/usr/bin/env python3
"""Quality and speed of code search. Usage: search_bench.py SEARCH_EVAL BENCHMARK REPOS [NAME...]

BENCHMARK holds repos.tsv and annotations/NAME.json, REPOS one folder for each repository. Prints
NDCG@10 (docs/internals/search.md) and figures for each repository, and their mean.
"""
import json
import math
import pathlib
import subprocess
import sys

HITS = 10


def ndcg(hits, targets):
    """hits: (path, start, end), best first. Each target counts at the first hit that meets it."""
    gain = 0.0
    for target in targets:
        for rank, hit in enumerate(hits[:HITS], 1):
            if meets(hit, target):
                gain += 1 / math.log2(rank + 1)
                break
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(HITS, len(targets)) + 1))
    return gain / ideal


def meets(hit, target):
    path, start, end = hit
    wanted = target if isinstance(target, str) else target["path"]
    if path != wanted and not path.endswith("/" + wanted):
        return False
    if isinstance(target, str) or "start_line" not in target:
        return True
    return start <= target["end_line"] and target["start_line"] <= end


def run(program, root, folder, queries):
    done = subprocess.run([program, root, folder], input="\n".join(queries) + "\n", text=True,
                          capture_output=True, check=True)
    answers = done.stdout.split("\n\n") if queries else []
    parsed = []
    for answer in answers[:len(queries)]:
        rows = [line.split("\t") for line in answer.strip("\n").split("\n") if line]
        parsed.append([(path, int(start), int(end)) for path, start, end in rows])
    figures = dict(pair.split("=") for pair in done.stderr.split())
    return parsed, figures


def main(program, benchmark, repos, *names):
    benchmark, repos = pathlib.Path(benchmark), pathlib.Path(repos)
    scores, categories = {}, {}
    rows = [line.split("\t") for line in (benchmark / "repos.tsv").read_text().splitlines()[1:]]
    for name, language, folder, _ in rows:
        if names and name not in names:
            continue
        labels = json.loads((benchmark / "annotations" / f"{name}.json").read_text())
        queries = [label["query"].replace("\n", " ") for label in labels]
        answers, figures = run(program, str(repos / name), folder, queries)
        values = []
        for label, hits in zip(labels, answers, strict=True):
            value = ndcg(hits, label["relevant"] + label["secondary"])
            values.append(value)
            categories.setdefault(label["category"], []).append(value)
            if names and value < 1:
                print(f"  {value:.2f} {label['query']!r}\n     wanted {label['relevant']} "
                      f"{label['secondary']}\n     got {[hit[0] for hit in hits[:4]]}")
        scores[name] = sum(values) / len(values)
        speed = int(figures["lines"]) / float(figures["index_ms"])
        print(f"{scores[name]:.3f} {name:18} {language:11} {figures['lines']:>7} lines "
              f"{speed:6.0f} lines/ms  p50 {figures['query_p50_ms']} p99 {figures['query_p99_ms']} "
              f"ms  {int(figures['memory_bytes']) / 1e6:.1f} MB of {int(figures['text_bytes']) / 1e6:.1f}")
    print(f"{sum(scores.values()) / len(scores):.4f} mean of {len(scores)}; " + ", ".join(
        f"{name} {sum(values) / len(values):.3f}" for name, values in sorted(categories.items())))


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
