// Answers the queries of standard input from the files below one folder: what bench/search_bench.py
// measures. Usage: search_eval ROOT FOLDER [bm25|regex|save FILE|open FILE]. Only FOLDER is
// indexed; paths are relative to ROOT. With `bm25` the answers are those of plain BM25 over the
// same chunks. With `save` the index becomes a snapshot; with `open` the answers come from that,
// and figures of it. With `regex` the queries are regular expressions, and the answer to each is
// "FILES_READ<TAB>FILES<TAB>HITS<TAB>MS<TAB>MS_OF_ALL", the last without the index, file by file.
//
// For each line of standard input it prints its ten best hits as "PATH<TAB>START<TAB>END" lines and
// an empty line; at the end, on standard error, one line of figures "NAME=VALUE …".
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "search/admission.h"
#include "search/bm25.h"
#include "search/chunker.h"
#include "search/ignore.h"
#include "search/index.h"
#include "search/regex.h"
#include "sys/beneath.h"
#include "sys/file_image.h"
#include "sys/new_file.h"

namespace cellar {
namespace {

constexpr std::size_t kHits = 10;
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Of the processor: what else the machine does is not in it.
double cpu_ms() { return static_cast<double>(std::clock()) * 1000 / CLOCKS_PER_SEC; }

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Bytes of this process that are in memory, its program and the model included.
std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

struct Place {
  std::string path;
  std::uint32_t start_line = 1;
  std::uint32_t end_line = 1;
};

// BM25 over chunks' words, and nothing else.
class PlainBm25 {
 public:
  void put(const std::string& path, std::string_view text) {
    if (search::admit(text) != search::Admission::indexed) return;
    for (const search::Chunk& chunk : search::cut_chunks(text)) {
      words_.clear();
      vocabulary_.add(text.substr(chunk.begin, chunk.end - chunk.begin), words_);
      field_.add(static_cast<search::DocId>(places_.size()),
                 tally_.count(words_.terms, vocabulary_.size()));
      places_.push_back({path, chunk.start_line, chunk.end_line});
    }
  }

  std::vector<Place> query(std::string_view text) const {
    std::vector<search::TermId> terms;
    for (const auto& identifier : search::parse_query(text).identifiers) {
      vocabulary_.find(identifier, terms);
    }
    std::vector<float> scores(places_.size());
    field_.score(terms, scores);
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      if (scores[i] > 0) order.push_back(i);
    }
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
    });
    order.resize(std::min(order.size(), kHits));
    std::vector<Place> best;
    for (const std::size_t i : order) best.push_back(places_[i]);
    return best;
  }

 private:
  search::Vocabulary vocabulary_;
  search::Bm25Field field_{1.5F, .75F};
  search::Tally<search::TermId> tally_;
  search::Words words_;
  std::vector<Place> places_;
};

using Visit = std::function<void(const search::FileMeta& meta, std::string_view text)>;

// Reads the files below `folder`, as a cell's search does.
void for_each_source(const std::string& root, const std::string& folder, const Visit& visit) {
  const sys::BeneathDir dir(root);
  sys::BeneathDir::Visitor visitor;
  visitor.enter = [&](const std::string& path) {
    const bool skipped = path != folder && search::is_skipped_folder(name_of(path));
    return skipped ? sys::Walk::skip : sys::Walk::go_on;
  };
  visitor.visit = [&](const sys::DirEntry& file) {
    if (file.stat.size_bytes > search::kFileBytesMax) return;
    const auto text = dir.read(file.path, search::kFileBytesMax);
    if (text) visit({file.path, file.stat.size_bytes}, *text);
  };
  dir.for_each_file(folder, visitor);
}

void print(const std::vector<Place>& places) {
  for (const Place& place : places) {
    fmt::print("{}\t{}\t{}\n", place.path, place.start_line, place.end_line);
  }
  fmt::print("\n");
}

int run_plain(const std::string& root, const std::string& folder) {
  PlainBm25 bm25;
  for_each_source(root, folder, [&](const search::FileMeta& meta, std::string_view text) {
    bm25.put(meta.path, text);
  });
  for (std::string query; std::getline(std::cin, query);) print(bm25.query(query));
  return 0;
}

// How much it takes from a change of one file until a query has seen it, for files all over the
// tree.
std::vector<double> time_changes(search::Index& index, const std::string& root,
                                 const std::string& folder, std::size_t file_count,
                                 const std::string& query) {
  constexpr std::size_t kChanges = 200;
  const std::size_t step = std::max<std::size_t>(file_count / kChanges, 1);
  std::vector<double> times;
  std::size_t number = 0;
  for_each_source(root, folder, [&](search::FileMeta meta, std::string_view text) {
    if (number++ % step != 0) return;
    meta.mtime_ns = 1;
    const std::string changed = std::string(text) + "\nan_added_line\n";
    const double started = cpu_ms();
    index.put(meta, changed);
    index.query(query);
    times.push_back(cpu_ms() - started);
  });
  return times;
}

int run(const std::string& root, const std::string& folder) {
  std::size_t lines = 0;
  search::Index index;
  const auto started = Clock::now();
  const double cpu_started = cpu_ms();
  for_each_source(root, folder, [&](const search::FileMeta& meta, std::string_view text) {
    if (index.put(meta, text) != search::Admission::indexed) return;
    lines += static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  });
  const double index_ms = ms_since(started);
  const double index_cpu_ms = cpu_ms() - cpu_started;

  std::vector<double> query_ms;
  std::string query;
  while (std::getline(std::cin, query)) {
    const auto asked = Clock::now();
    const auto hits = index.query(query, {.limit = kHits});
    query_ms.push_back(ms_since(asked));
    std::vector<Place> places;
    for (const auto& hit : hits) places.push_back({hit.path, hit.start_line, hit.end_line});
    print(places);
  }
  const std::size_t resident = resident_bytes();
  const auto stats = index.stats();
  const auto change_ms = time_changes(index, root, folder, stats.file_count, "an_added_line");
  fmt::print(stderr,
             "files={} lines={} chunks={} text_bytes={} memory_bytes={} resident_bytes={} "
             "index_ms={:.2f} index_cpu_ms={:.2f} query_p50_ms={:.3f} query_p99_ms={:.3f} "
             "change_p50_ms={:.3f} "
             "change_p95_ms={:.3f}\n",
             stats.file_count, lines, stats.chunk_count, stats.text_bytes, stats.memory_bytes,
             resident, index_ms, index_cpu_ms, quantile(query_ms, .5), quantile(query_ms, .99),
             quantile(change_ms, .5), quantile(change_ms, .95));
  return 0;
}

int run_save(const std::string& root, const std::string& folder, const std::string& file) {
  search::Index index;
  for_each_source(root, folder, [&](const search::FileMeta& meta, std::string_view text) {
    index.put(meta, text);
  });
  sys::NewFile snapshot(file);
  index.save([&](std::string_view piece) { snapshot.write(piece); });
  snapshot.replace(sys::Durable::no);
  return 0;
}

// How many files have a match, in the order of paths, until there are as many as a query finds.
std::size_t scan(const std::map<std::string, std::string>& texts, const std::string& pattern) {
  const search::Regex regex(pattern);
  std::size_t count = 0;
  for (const auto& [path, text] : texts) {
    if (regex.find(text, 0)) ++count;
    if (count == search::kHitsMax) break;
  }
  return count;
}

// The best of some runs: of the processor's caches, both ways have the same.
double best_ms(const std::function<void()>& job) {
  constexpr int kRuns = 5;
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    const double started = cpu_ms();
    job();
    const double took = cpu_ms() - started;
    best = run == 0 ? took : std::min(best, took);
  }
  return best;
}

int run_regex(const std::string& root, const std::string& folder) {
  search::Index index;
  std::map<std::string, std::string> texts;
  for_each_source(root, folder, [&](const search::FileMeta& meta, std::string_view text) {
    if (index.put(meta, text) == search::Admission::indexed) texts.emplace(meta.path, text);
  });
  const search::QueryOptions options{
      .limit = search::kHitsMax, .chunks_per_file = 1, .mode = search::Mode::regex};
  for (std::string pattern; std::getline(std::cin, pattern);) {
    const std::size_t hit_count = index.query(pattern, options).size();
    if (scan(texts, pattern) != hit_count) {
      fmt::print(stderr, "search_eval: '{}' finds other files without the index\n", pattern);
      return 1;
    }
    fmt::print("{}\t{}\t{}\t{:.3f}\t{:.3f}\n", index.count_candidates(pattern), texts.size(),
               hit_count, best_ms([&] { index.query(pattern, options); }),
               best_ms([&] { scan(texts, pattern); }));
  }
  return 0;
}

// In a process that has done nothing else: its memory is new.
int run_open(const std::string& file) {
  const double started = cpu_ms();
  const auto image = sys::FileImage::read(file, std::size_t{1} << 30);
  const search::Index index = search::Index::from_snapshot(image.value().bytes());
  const double open_ms = cpu_ms() - started;
  for (std::string query; std::getline(std::cin, query);) {
    std::vector<Place> places;
    for (const auto& hit : index.query(query, {.limit = kHits})) {
      places.push_back({hit.path, hit.start_line, hit.end_line});
    }
    print(places);
  }
  fmt::print(stderr, "snapshot_bytes={} snapshot_open_ms={:.2f} snapshot_resident_bytes={}\n",
             image.value().bytes().size(), open_ms, resident_bytes());
  return 0;
}

int run(const std::vector<std::string>& arguments) {
  const std::string mode = arguments.size() > 2 ? arguments[2] : "";
  if (mode == "bm25") return run_plain(arguments[0], arguments[1]);
  if (mode == "regex") return run_regex(arguments[0], arguments[1]);
  if (mode == "save") return run_save(arguments[0], arguments[1], arguments[3]);
  if (mode == "open") return run_open(arguments[3]);
  return run(arguments[0], arguments[1]);
}

}  // namespace
}  // namespace cellar

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const bool plain = arguments.size() == 3 && (arguments[2] == "bm25" || arguments[2] == "regex");
  const bool snapshot = arguments.size() == 4 && (arguments[2] == "save" || arguments[2] == "open");
  if (arguments.size() != 2 && !plain && !snapshot) {
    fmt::print(stderr,
               "usage: search_eval ROOT FOLDER [bm25|regex|save FILE|open FILE] <QUERIES\n");
    return 2;
  }
  try {
    return cellar::run(arguments);
  } catch (const cellar::Error& error) {
    fmt::print(stderr, "search_eval: {}\n", error.what());
    return 1;
  }
}
