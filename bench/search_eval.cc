// Answers the queries of standard input from the files below one folder: what bench/search_bench.py
// measures. Usage: search_eval ROOT FOLDER. Only FOLDER is indexed; paths are relative to ROOT.
//
// For each line of standard input it prints its ten best hits as "PATH<TAB>START<TAB>END" lines and
// an empty line; at the end, on standard error, one line of figures "NAME=VALUE …".
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

#include "base/error.h"
#include "search/admission.h"
#include "search/ignore.h"
#include "search/index.h"
#include "sys/beneath.h"

namespace cellar {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

struct Source {
  search::FileMeta meta;
  std::string text;
};

std::vector<Source> read_sources(const std::string& root, const std::string& folder) {
  const sys::BeneathDir dir(root);
  search::IgnoreRules ignore;
  std::vector<Source> sources;
  const auto below = [&](const std::string& path) {
    return folder == "." || path == folder || path.compare(0, folder.size() + 1, folder + "/") == 0;
  };
  const auto enter = [&](const std::string& path) {
    const bool on_the_way = path == "." || folder.compare(0, path.size() + 1, path + "/") == 0;
    if (on_the_way) return sys::Walk::go_on;
    if (!below(path)) return sys::Walk::skip;
    if (path != folder && search::is_skipped_folder(name_of(path))) return sys::Walk::skip;
    return sys::Walk::go_on;
  };
  dir.for_each_file(enter, [&](const sys::DirEntry& file) {
    if (!below(file.path) || file.stat.size_bytes > search::kFileBytesMax) return;
    auto text = dir.read(file.path, search::kFileBytesMax);
    if (text) sources.push_back({{file.path, file.stat.size_bytes}, std::move(*text)});
  });
  return sources;
}

int run(const std::string& root, const std::string& folder) {
  const auto sources = read_sources(root, folder);
  std::size_t lines = 0;
  const auto started = Clock::now();
  search::Index index;
  for (const auto& source : sources) {
    if (index.put(source.meta, source.text) == search::Admission::indexed) {
      lines += static_cast<std::size_t>(std::count(source.text.begin(), source.text.end(), '\n'));
    }
  }
  const double index_ms = ms_since(started);

  std::vector<double> query_ms;
  for (std::string query; std::getline(std::cin, query);) {
    const auto asked = Clock::now();
    const auto hits = index.query(query);
    query_ms.push_back(ms_since(asked));
    for (const auto& hit : hits) fmt::print("{}\t{}\t{}\n", hit.path, hit.start_line, hit.end_line);
    fmt::print("\n");
  }
  std::sort(query_ms.begin(), query_ms.end());
  const auto quantile = [&](double q) {
    if (query_ms.empty()) return 0.0;
    return query_ms[static_cast<std::size_t>(q * static_cast<double>(query_ms.size() - 1))];
  };
  const auto stats = index.stats();
  fmt::print(stderr,
             "files={} lines={} chunks={} text_bytes={} memory_bytes={} index_ms={:.1f} "
             "query_p50_ms={:.3f} query_p99_ms={:.3f}\n",
             stats.file_count, lines, stats.chunk_count, stats.text_bytes, stats.memory_bytes,
             index_ms, quantile(.5), quantile(.99));
  return 0;
}

}  // namespace
}  // namespace cellar

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: search_eval ROOT FOLDER <QUERIES\n");
    return 2;
  }
  try {
    return cellar::run(argv[1], argv[2]);
  } catch (const cellar::Error& error) {
    fmt::print(stderr, "search_eval: {}\n", error.what());
    return 1;
  }
}
