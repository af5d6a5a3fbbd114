#include "cell/work_index.h"

#include <unordered_set>

#include "base/error.h"
#include "search/admission.h"
#include "search/ignore.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kIgnoreFileBytesMax = 1 << 20;

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// A file of a cell may vanish, grow or become something else at any moment: then it is not there.
std::optional<std::string> read_if_possible(const sys::BeneathDir& work, const std::string& path,
                                            std::size_t bytes_max) {
  try {
    return work.read(path, bytes_max);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

void WorkIndex::refresh() {
  const std::size_t vanished_count = look();
  // What vanished was there while the others were looked at: it took the room that they need.
  const bool is_full = left_out_count() > 0;
  if (vanished_count > 0 && is_full) look();
}

std::size_t WorkIndex::look() {
  unknown_count_ = 0;
  search::IgnoreRules ignored;
  std::unordered_set<std::string> seen;
  const auto enter = [&](const std::string& folder) {
    if (folder != ".") {
      if (search::is_skipped_folder(name_of(folder))) return sys::Walk::skip;
      if (ignored.ignores(folder, search::PathKind::folder)) return sys::Walk::skip;
    }
    const std::string rules = folder == "." ? ".gitignore" : folder + "/.gitignore";
    if (const auto text = read_if_possible(work_, rules, kIgnoreFileBytesMax)) {
      ignored.add(folder, *text);
    }
    return sys::Walk::go_on;
  };
  const auto visit = [&](const sys::DirEntry& file) {
    if (ignored.ignores(file.path, search::PathKind::file)) return;
    seen.insert(file.path);
    const search::FileMeta meta{.path = file.path,
                                .size_bytes = file.stat.size_bytes,
                                .mtime_ns = file.stat.mtime_ns,
                                .inode = file.stat.inode,
                                .ctime_ns = file.stat.ctime_ns};
    if (!index_.needs(meta)) {
      if (!index_.find(file.path)) ++unknown_count_;
      return;
    }
    if (meta.size_bytes > search::kFileBytesMax) {
      index_.put_skipped(meta, search::Admission::too_large);
      return;
    }
    if (const auto text = read_if_possible(work_, file.path, search::kFileBytesMax)) {
      index_.put(meta, *text);
    }
  };
  // A walk that is given up has files behind it that nobody has seen: one stands for all of them.
  if (!work_.for_each_file(enter, visit)) ++unknown_count_;
  return index_.retain([&](const std::string& path) { return seen.contains(path); });
}

WorkIndex::Answer WorkIndex::query(std::string_view text, const search::QueryOptions& options) {
  refresh();
  return {index_.query(text, options), left_out_count()};
}

std::vector<search::SymbolHit> WorkIndex::symbols(std::string_view name, std::size_t limit) {
  refresh();
  return index_.symbols(name, limit);
}

WorkIndex::Status WorkIndex::status() {
  refresh();
  return {index_.stats(), left_out_count()};
}

void WorkIndex::put_document(std::string_view name, std::string_view text) {
  index_.put_document(name, text);
}

void WorkIndex::remove_document(std::string_view name) { index_.remove_document(name); }

}  // namespace cellar::cell
