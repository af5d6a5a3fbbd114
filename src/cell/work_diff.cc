#include "cell/work_diff.h"

#include <algorithm>

#include "base/error.h"
#include "sys/positioned.h"

namespace cellar::cell {
namespace {

using checkpoint::File;

// What is at `path` now, no link followed: where the way there has become a file or a link, nothing
// is.
std::optional<sys::DirEntry> entry_at(const sys::BeneathDir& work, const std::string& path) {
  return work.stat_entry(path) ? work.entry(path) : std::nullopt;
}

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
                   const Limits& limits)
    : work_(work),
      store_(store),
      request_(std::move(request)),
      limits_(limits),
      end_(Clock::now() + request_.limits.time_max) {
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
  const auto entry = entry_at(work_, request_.path);
  if (request_.path == "." || (entry && entry->stat.kind == sys::FileKind::directory)) {
    walk_.emplace(work_, request_.path, request_.scope, limits_.patterns);
  }
  if (entry && request_.path != ".") {
    sys::DirEntry own = *entry;
    add(own);
  }
}

bool WorkDiff::step() {
  if (comparison_) return comparison_->step();
  if (Clock::now() >= end_) {
    stop("time");
  } else if (walk_) {
    walk_on();
  } else if (choice_) {
    choose();
  } else if (!before_) {
    begin_choice(answer_.from);
  } else if (answer_.to && !after_) {
    begin_choice(*answer_.to);
  } else {
    begin_comparison();
  }
  return true;
}

void WorkDiff::walk_on() {
  const bool has_more = walk_->step([this](sys::DirEntry& entry) { add(entry); });
  if (walk_->has_slow_patterns()) return stop("patterns");
  is_cut_ = walk_->is_cut() || is_full();
  if (!has_more || is_cut_) walk_.reset();
}

void WorkDiff::add(sys::DirEntry& entry) {
  if (entry.stat.kind == sys::FileKind::special || is_full()) return;
  live_name_bytes_ += entry.path.size() + entry.target.size();
  live_.push_back(checkpoint::file_of(entry));
}

// What search leaves out is left out of both states, by the rules that there are now.
void WorkDiff::begin_choice(const checkpoint::Head& head) {
  choice_.emplace(Choice{.files = store_.files(head),
                         .left_out = LeftOut(work_, request_.scope, limits_.patterns)});
  choice_->left_out.read_rules_above(request_.path);
  choice_->left_out.read_rules(request_.path);
}

void WorkDiff::choose() {
  constexpr std::size_t kFilesPerStep = 512;
  Files& files = choice_->files;
  const std::size_t end = std::min(choice_->next + kFilesPerStep, files.size());
  for (std::size_t& next = choice_->next; next < end; ++next) {
    if (is_wanted(*choice_, files[next])) std::swap(files[choice_->kept_count++], files[next]);
  }
  if (choice_->left_out.exhausted()) return stop("patterns");
  if (end < files.size()) return;
  files.resize(choice_->kept_count);
  (before_ ? after_ : before_) = std::move(files);
  choice_.reset();
}

bool WorkDiff::is_wanted(Choice& choice, const File& file) const {
  if (!is_below_start(file.path) || file.path.starts_with(choice.skipped)) return false;
  if (file.path == request_.path) return true;
  if (file.kind != sys::FileKind::directory) return !choice.left_out.file(file.path);
  if (choice.left_out.folder(file.path)) {
    choice.skipped = file.path + "/";
    return false;
  }
  choice.left_out.read_rules(file.path);
  return true;
}

bool WorkDiff::is_below_start(std::string_view path) const {
  const std::string& start = request_.path;
  return start == "." || path == start ||
         (path.starts_with(start) && path.size() > start.size() && path[start.size()] == '/');
}

void WorkDiff::begin_comparison() {
  checkpoint::Comparison::Side after;
  if (answer_.to) {
    after = kept_side(std::move(*after_));
  } else {
    std::sort(live_.begin(), live_.end(),
              [](const File& a, const File& b) { return is_before(a, b); });
    auto known = before_->begin();
    for (File& file : live_) {
      while (known != before_->end() && is_before(*known, file)) ++known;
      if (known == before_->end() || known->path != file.path) continue;
      if (is_still(*known, answer_.from.created_at, file)) file.digest = known->digest;
    }
    after = live_side();
  }
  checkpoint::DiffLimits limits = request_.limits;
  limits.time_max = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - Clock::now());
  comparison_ = std::make_unique<checkpoint::Comparison>(
      kept_side(std::move(*before_)), std::move(after), limits, request_.patches);
}

// Of what was not looked at to its end nothing is told.
void WorkDiff::stop(const char* why) {
  stopped_by_ = why;
  comparison_ = std::make_unique<checkpoint::Comparison>(
      checkpoint::Comparison::Side(), checkpoint::Comparison::Side(), request_.limits,
      checkpoint::Patches::none);
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
  if (is_cut_) side.hides = [this](const File& file) { return is_there(file.path); };
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

bool WorkDiff::is_there(const std::string& path) const {
  try {
    return work_.stat_entry(path).has_value();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::exhausted || error.code() == ErrorCode::internal) throw;
    return true;  // The cell keeps changing it.
  }
}

DiffAnswer WorkDiff::take() {
  answer_.differences = comparison_->take();
  // Who reads it is to know first that not all was looked at.
  if (is_cut_) answer_.differences.truncated_by = "files";
  if (!stopped_by_.empty()) answer_.differences.truncated_by = stopped_by_;
  return std::move(answer_);
}

}  // namespace cellar::cell
