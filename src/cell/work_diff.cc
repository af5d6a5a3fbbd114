#include "cell/work_diff.h"

#include <algorithm>

#include "base/error.h"
#include "sys/positioned.h"

namespace cellar::cell {
namespace {

using checkpoint::File;

}  // namespace

checkpoint::Head find_checkpoint(const std::vector<checkpoint::Head>& heads,
                                 const std::string& wanted) {
  for (const checkpoint::Head& head : heads) {
    if (head.id == wanted || (!wanted.empty() && head.name == wanted)) return head;
  }
  throw Error(ErrorCode::not_found, "checkpoint_not_found",
              "the cell has no checkpoint \"" + wanted + "\"",
              "GET …/checkpoints lists those that there are");
}

WorkDiff::WorkDiff(const sys::BeneathDir& work, const checkpoint::Store& store, DiffRequest request,
                   std::size_t live_files_max)
    : work_(work), store_(store), request_(std::move(request)), live_files_max_(live_files_max) {
  const std::vector<checkpoint::Head> heads = store_.heads();
  if (heads.empty()) {
    throw Error(
        ErrorCode::not_found, "checkpoint_not_found", "the cell has no checkpoint",
        "make one with POST …/checkpoints: from then on there is something to compare with");
  }
  answer_.from = request_.from.empty() ? heads.back() : find_checkpoint(heads, request_.from);
  if (request_.to != kPresent) {
    answer_.to = find_checkpoint(heads, request_.to);
    return;
  }
  const auto entry = work_.entry(request_.path);
  if (request_.path == "." || (entry && entry->stat.kind == sys::FileKind::directory)) {
    walk_.emplace(work_, request_.path, request_.scope);
  }
  if (entry && request_.path != ".") {
    sys::DirEntry own = *entry;
    add(own);
  }
}

bool WorkDiff::step() {
  if (walk_) {
    const bool has_more = walk_->step([this](sys::DirEntry& entry) { add(entry); });
    is_cut_ = is_cut_ || walk_->is_cut() || is_full();
    if (!has_more || is_cut_) walk_.reset();
    return true;
  }
  if (!comparison_) {
    begin_comparison();
    return true;
  }
  return comparison_->step();
}

void WorkDiff::add(sys::DirEntry& entry) {
  if (entry.stat.kind == sys::FileKind::special || is_full()) return;
  live_name_bytes_ += entry.path.size() + entry.target.size();
  live_.push_back(checkpoint::file_of(entry));
}

void WorkDiff::begin_comparison() {
  std::vector<File> before = wanted_of(store_.files(answer_.from));
  checkpoint::Comparison::Side after;
  if (answer_.to) {
    after = kept_side(wanted_of(store_.files(*answer_.to)));
  } else {
    std::sort(live_.begin(), live_.end(),
              [](const File& a, const File& b) { return is_before(a, b); });
    auto known = before.begin();
    for (File& file : live_) {
      while (known != before.end() && is_before(*known, file)) ++known;
      if (known == before.end() || known->path != file.path) continue;
      if (is_still(*known, answer_.from.created_at, file)) file.digest = known->digest;
    }
    after = live_side();
  }
  comparison_ = std::make_unique<checkpoint::Comparison>(
      kept_side(std::move(before)), std::move(after), request_.limits, request_.patches);
}

checkpoint::Comparison::Side WorkDiff::kept_side(std::vector<File> files) const {
  checkpoint::Comparison::Side side;
  side.files = std::move(files);
  side.read = [this](const File& file, std::size_t bytes_max) -> std::optional<std::string> {
    if (file.digest.empty() || file.size_bytes > bytes_max) return std::nullopt;
    return store_.read(file.digest, bytes_max);
  };
  return side;
}

checkpoint::Comparison::Side WorkDiff::live_side() {
  checkpoint::Comparison::Side side;
  side.files = std::move(live_);
  // What the cell has put on the way meanwhile is not told: the file is another one, or gone.
  side.open = [this](const File& file) -> std::optional<sys::OpenFile> {
    try {
      auto open = work_.open_itself(file.path);
      if (open && open->fd) return open;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::exhausted || error.code() == ErrorCode::internal) throw;
    }
    return std::nullopt;
  };
  side.read = [open = side.open](const File& file,
                                 std::size_t bytes_max) -> std::optional<std::string> {
    const auto found = open(file);
    if (!found || found->stat.size_bytes > bytes_max) return std::nullopt;
    return sys::read_at(found->fd.get(), 0, bytes_max, file.path);
  };
  return side;
}

bool WorkDiff::is_wanted(std::string_view path) const {
  const std::string& start = request_.path;
  return start == "." || path == start ||
         (path.starts_with(start) && path.size() > start.size() && path[start.size()] == '/');
}

// What search leaves out is left out of both states, by the rules that there are now.
std::vector<File> WorkDiff::wanted_of(std::vector<File> files) const {
  LeftOut left_out(work_, request_.scope);
  left_out.read_rules_above(request_.path);
  left_out.read_rules(request_.path);
  std::string skipped = "/";  // of no path
  std::erase_if(files, [&](const File& file) {
    if (!is_wanted(file.path) || file.path.starts_with(skipped)) return true;
    if (file.kind != sys::FileKind::directory) return left_out.file(file.path);
    if (file.path == request_.path) return false;
    if (left_out.folder(file.path)) {
      skipped = file.path + "/";
      return true;
    }
    left_out.read_rules(file.path);
    return false;
  });
  return files;
}

DiffAnswer WorkDiff::take() {
  answer_.differences = comparison_->take();
  if (is_cut_ && answer_.differences.truncated_by.empty()) {
    answer_.differences.truncated_by = "files";
  }
  return std::move(answer_);
}

}  // namespace cellar::cell
