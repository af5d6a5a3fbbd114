#!/usr/bin/env python3
"""Quality and speed of code search, beside BM25 and ripgrep: search_bench.py [--bin DIR] [--repositories DIR] [--save] [NAME...]

Prints NDCG@10 for each repository, language and kind of query, and figures of speed with their goals; with NAMEs, what
is missing of each answer of those. bench/search/README.md says what is measured. --save writes bench/results/DATE-search.json.
"""
import argparse
import collections
import datetime
import json
import math
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BENCHMARK = HERE / "search"
ENGINES = ("cellar", "bm25", "ripgrep")
HITS = 10
LAST_LINE = 1 << 31
QUALITY_GOAL = 0.880
# What holds for a repository of 300,000 lines; the largest is about that. (name, unit, goal, larger is better)
GOALS = [("lines_per_second", "lines/s", 400_000, True), ("query_p50_ms", "ms", 1, False), ("query_p99_ms", "ms", 5, False),
         ("change_p95_ms", "ms", 5, False), ("resident_mb", "MB", 60, False), ("snapshot_open_ms", "ms", 20, False),
         ("snapshot_resident_mb", "MB", 60, False)]
SNAPSHOT_RUNS = 5
RIPGREP_RUNS = 5
REGEXES = [r"absl::StrCat\(", r"ABSL_LOCKS_EXCLUDED\(\w+\)", r"kMaxSize|kMinSize", r"^TEST\(\w+, Move", r"(?i)hash_?seed",
           r"static_assert\(.*sizeof", r"nowhere_to_be_found_\d+", r"[A-Z]{3}\d{3}"]
STOP_WORDS = set("a an and are as at be by can do does for from get has have how if in into is it its not of on or that the"
                 " this to used uses using was what when where which while who why will with".split())


def ndcg(hits, targets):
    """hits: (path, start, end), best first. Each target counts at the first hit that meets it."""
    gain = 0.0
    for target in targets:
        ranks = (rank for rank, hit in enumerate(hits[:HITS], 1) if meets(hit, target))
        rank = next(ranks, None)
        if rank:
            gain += 1 / math.log2(rank + 1)
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


def ask(program, root, folder, queries, *mode):
    """The answers of search_eval, and its figures."""
    done = subprocess.run([program, root, folder, *mode], input="".join(query + "\n" for query in queries), text=True,
                          capture_output=True, check=True)
    answers = []
    for answer in done.stdout.split("\n\n")[:len(queries)]:
        rows = [line.split("\t") for line in answer.split("\n") if line]
        answers.append([(path, int(start), int(end)) for path, start, end in rows])
    return answers, {name: float(value) for name, value in (pair.split("=") for pair in done.stderr.split())}


def ask_ripgrep(root, folder, query):
    """Files with most different words of the query first, then with most matches."""
    words = [word for word in re.findall(r"\w+", query.lower()) if word not in STOP_WORDS] or [query]
    patterns = [part for word in words for part in ("-e", word)]
    done = subprocess.run(["rg", "--no-config", "-oiF", "--no-line-number", "--with-filename", "--no-heading", "--null", *patterns,
                           folder], cwd=root, capture_output=True, text=True, errors="replace", check=False)
    found = collections.defaultdict(collections.Counter)
    for line in done.stdout.splitlines():
        path, _, match = line.partition("\0")
        found[path.removeprefix("./")][match.lower()] += 1
    order = sorted(found, key=lambda path: (-len(found[path]), -found[path].total(), path))
    return [(path, 1, LAST_LINE) for path in order[:HITS]]


def explain(name, labels, answers):
    for label, hits in zip(labels, answers, strict=True):
        value = ndcg(hits, label["relevant"] + label["secondary"])
        if value < 1:
            print(f"  {name}: {value:.2f} {label['query']!r}\n     wanted {label['relevant']} {label['secondary']}\n"
                  f"     got {[hit[0] for hit in hits[:4]]}")


def measure(name, folder, program, repositories, engines):
    """(labels, {engine: answers}, figures) of one repository."""
    labels = json.loads((BENCHMARK / "annotations" / f"{name}.json").read_text())
    queries = [label["query"].replace("\n", " ") for label in labels]
    root = str(repositories / name)
    answers = {}
    answers["cellar"], figures = ask(program, root, folder, queries)
    answers["bm25"], _ = ask(program, root, folder, queries, "bm25")
    if "ripgrep" in engines:
        answers["ripgrep"] = [ask_ripgrep(root, folder, query) for query in queries]
    figures["lines_per_second"] = figures["lines"] / figures["index_cpu_ms"] * 1000
    figures["resident_mb"] = figures["resident_bytes"] / 1e6
    return labels, answers, figures


def measure_snapshot(name, folder, program, repositories):
    """Figures of an index that comes from its snapshot; the answers from there are the same."""
    labels = json.loads((BENCHMARK / "annotations" / f"{name}.json").read_text())
    queries = [label["query"].replace("\n", " ") for label in labels]
    root = str(repositories / name)
    with tempfile.NamedTemporaryFile(prefix="cellar-bench-", dir=repositories) as file:
        subprocess.run([program, root, folder, "save", file.name], stdin=subprocess.DEVNULL, check=True)
        runs = [ask(program, root, folder, queries, "open", file.name) for _ in range(SNAPSHOT_RUNS)]
    if runs[0][0] != ask(program, root, folder, queries)[0]:
        sys.exit(f"search_bench: {name}: the answers from a snapshot are others")
    figures = runs[0][1]
    return {"snapshot_open_ms": statistics.median(run[1]["snapshot_open_ms"] for run in runs),
            "snapshot_mb": figures["snapshot_bytes"] / 1e6, "snapshot_resident_mb": figures["snapshot_resident_bytes"] / 1e6}


def measure_regexes(name, folder, program, repositories):
    """{expression: figures} of one repository, and ripgrep's time, which reads the files."""
    root = str(repositories / name)
    done = subprocess.run([program, root, folder, "regex"], input="".join(regex + "\n" for regex in REGEXES), text=True,
                          capture_output=True, check=True)
    rows = {}
    for regex, line in zip(REGEXES, done.stdout.splitlines(), strict=True):
        keys = ("files_read", "files", "hits", "ms", "all_files_ms")
        rows[regex] = dict(zip(keys, map(float, line.split("\t")), strict=True))
        if shutil.which("rg"):
            rows[regex]["ripgrep_ms"] = min(ripgrep_ms(root, folder, regex) for _ in range(RIPGREP_RUNS))
    return rows


def ripgrep_ms(root, folder, regex):
    started = time.perf_counter()
    subprocess.run(["rg", "--no-config", "-j1", "-l", "-e", regex, folder], cwd=root, stdout=subprocess.DEVNULL, check=False)
    return (time.perf_counter() - started) * 1000


def print_regexes(rows):
    print(f"\n{'regular expression':32} {'files read':>12} {'files found':>11} {'ms':>8} {'all read':>8} {'ripgrep':>8}")
    for regex, row in rows.items():
        print(f"{regex:32} {row['files_read']:6.0f}/{row['files']:5.0f} {row['hits']:11.0f} {row['ms']:8.2f} "
              f"{row['all_files_ms']:8.2f} {row.get('ripgrep_ms', math.nan):8.1f}")


def print_means(title, groups, engines):
    print(f"\n{title:18} " + " ".join(f"{engine:>8}" for engine in engines))
    for group, scores in sorted(groups.items()):
        means = [statistics.mean(values) for values in scores.values()]
        print(f"{group:18} " + " ".join(f"{mean:8.3f}" for mean in means))


def print_goals(mean, figures, name):
    missed = mean < QUALITY_GOAL
    print(f"\n{'NDCG@10':18} {mean:10.4f}          goal {QUALITY_GOAL}" + (" MISSED" if missed else ""))
    print(f"{name}, {figures['lines']:.0f} lines; 100,000 lines are indexed in {1e8 / figures['lines_per_second']:.0f} ms")
    for figure, unit, goal, larger in GOALS:
        value = figures[figure]
        fails = value < goal if larger else value > goal
        missed = missed or fails
        print(f"{figure:18} {value:10.3f} {unit:8} goal {goal:,}" + (" MISSED" if fails else ""))
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=str(HERE.parent / "build/release/bin"))
    parser.add_argument("--repositories", default=str(HERE.parent / "build/search/repositories"))
    parser.add_argument("--save", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    program, repositories = str(pathlib.Path(arguments.bin) / "search_eval"), pathlib.Path(arguments.repositories)
    rows = [line.split("\t") for line in (BENCHMARK / "repositories.tsv").read_text().splitlines()[1:]]
    rows = [row for row in rows if not arguments.names or row[0] in arguments.names]
    absent = [row[0] for row in rows if not (repositories / row[0] / row[2]).exists()]
    if absent or not rows:
        sys.exit(f"search_bench: not in {repositories}: {', '.join(absent or arguments.names)} (bench/search/fetch brings them)")
    engines = [engine for engine in ENGINES if engine != "ripgrep" or shutil.which("rg")]
    if "ripgrep" not in engines:
        print("ripgrep is not installed: without it")

    by_repository, by_language, by_category, all_figures = {}, {}, {}, {}
    print(f"{'':18} {'':11} {'lines':>8} " + " ".join(f"{engine:>8}" for engine in engines) +
          "   lines/s  query p50   p99 ms  change ms     MB")
    for name, language, folder, *_ in rows:
        labels, answers, figures = measure(name, folder, program, repositories, engines)
        all_figures[name] = figures
        by_repository[name] = {}
        for engine in engines:
            values = [ndcg(hits, label["relevant"] + label["secondary"])
                      for label, hits in zip(labels, answers[engine], strict=True)]
            by_repository[name][engine] = statistics.mean(values)
            by_language.setdefault(language, {}).setdefault(engine, []).append(statistics.mean(values))
            for label, value in zip(labels, values, strict=True):
                by_category.setdefault(label["category"], {}).setdefault(engine, []).append(value)
        print(f"{name:18} {language:11} {figures['lines']:8.0f} " +
              " ".join(f"{by_repository[name][engine]:8.3f}" for engine in engines) +
              f" {figures['lines_per_second']:9.0f} {figures['query_p50_ms']:10.3f} {figures['query_p99_ms']:8.3f} "
              f"{figures['change_p50_ms']:10.3f} {figures['resident_mb']:6.1f}")
        if arguments.names:
            explain(name, labels, answers["cellar"])
    print_means("language", by_language, engines)
    print_means("kind of query", by_category, engines)
    means = {engine: statistics.mean(scores[engine] for scores in by_repository.values()) for engine in engines}
    print_means("all", {f"{len(rows)} repositories": {engine: [mean] for engine, mean in means.items()}}, engines)
    if arguments.names:
        return 0
    largest = max(all_figures, key=lambda name: all_figures[name]["lines"])
    folder = next(row[2] for row in rows if row[0] == largest)
    all_figures[largest] |= measure_snapshot(largest, folder, program, repositories)
    missed = print_goals(means["cellar"], all_figures[largest], largest)
    regexes = measure_regexes(largest, folder, program, repositories)
    print_regexes(regexes)
    if arguments.save:
        path = HERE / "results" / f"{datetime.date.today()}-search.json"
        path.write_text(json.dumps({"date": str(datetime.date.today()), "ndcg@10": means, "repositories": by_repository,
                                    "figures": all_figures, "regexes": regexes}, indent=1) + "\n")
        print(f"saved: {path}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
