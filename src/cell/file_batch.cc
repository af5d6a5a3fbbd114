#include "cell/file_batch.h"

#include <algorithm>
#include <numeric>

#include "json/json.h"
#include "sys/node.h"

namespace cellar::cell {
namespace {

json::Value change_json(const FileChange& change) {
  json::Value value = json::object({{"kind", name_of(change.kind)},
                                    {"path", change.path},
                                    {"type", change.is_folder ? "directory" : "file"}});
  if (!change.from.empty()) value.as_object().set("from", change.from);
  return value;
}

std::ptrdiff_t depth_of(const std::string& folder) {
  return folder == "." ? -1 : std::count(folder.begin(), folder.end(), '/');
}

std::size_t path_bytes_in(const std::set<std::string>& paths) {
  const auto add = [](std::size_t sum, const std::string& path) { return sum + path.size(); };
  return std::accumulate(paths.begin(), paths.end(), std::size_t{0}, add);
}

}  // namespace

void FileBatch::add(const FileChange& change) {
  if (is_reset()) return;
  const auto said = fresh_.find(change.path);
  if (change.kind == FileChange::Kind::modified && said != fresh_.end()) return;
  const bool came_and_goes = change.kind == FileChange::Kind::deleted && !change.is_folder &&
                             said != fresh_.end() && said->second;
  const bool takes_names =
      change.kind == FileChange::Kind::deleted || change.kind == FileChange::Kind::renamed;
  if (takes_names && change.is_folder) {
    fresh_.clear();  // What was said of a path below it is of another file now.
  } else if (takes_names) {
    fresh_.erase(change.kind == FileChange::Kind::renamed ? change.from : change.path);
  }
  if (came_and_goes) {
    const auto is_it = [&](const FileChange& one) { return one.path == change.path; };
    const auto last = std::find_if(changes_.rbegin(), changes_.rend(), is_it);
    path_bytes_ -= last->path.size();
    changes_.erase(std::next(last).base());
    return;
  }
  const std::size_t bytes = change.path.size() + change.from.size();
  if (changes_.size() == kNamedMax || path_bytes_ + bytes > kNamedBytesMax) {
    add_below(sys::parent_of(change.path));
    if (!change.from.empty()) add_below(sys::parent_of(change.from));
    return;
  }
  path_bytes_ += bytes;
  changes_.push_back(change);
  if (change.kind != FileChange::Kind::deleted)
    fresh_[change.path] = change.kind == FileChange::Kind::created;
}

void FileBatch::add_below(const std::string& folder) {
  if (is_reset()) return;
  put_folder(folder);
  while (folders_.size() > kFoldersMax || path_bytes_in(folders_) > kFolderBytesMax) {
    put_folder(sys::parent_of(take_deepest()));
  }
}

void FileBatch::put_folder(const std::string& folder) {
  for (std::string at = folder;; at = sys::parent_of(at)) {
    if (folders_.contains(at)) return;
    if (at == ".") break;
  }
  if (folder == ".") {
    folders_.clear();
  } else {
    take_below(folders_, folder);
  }
  folders_.insert(folder);
}

std::string FileBatch::take_deepest() {
  const auto is_higher = [](const std::string& a, const std::string& b) {
    return depth_of(a) < depth_of(b);
  };
  return folders_.extract(std::max_element(folders_.begin(), folders_.end(), is_higher)).value();
}

void FileBatch::reset(const std::string& reason) {
  *this = FileBatch();
  reset_reason_ = reason;
}

void FileBatch::lose(const Error& why) {
  reset(why.reason());
  lost_ = why.what();
  if (!why.remediation().empty()) lost_ += ": " + why.remediation();
}

json::Value FileBatch::data() const {
  json::Array changes;
  for (const FileChange& change : changes_) changes.push_back(change_json(change));
  json::Value data = json::object({{"changes", std::move(changes)}});
  json::Object& members = data.as_object();
  if (!folders_.empty()) {
    members.set("more", true);
    members.set("folders", json::Array(folders_.begin(), folders_.end()));
  }
  if (is_reset()) {
    members.set("reset", true);
    members.set("reason", reset_reason_);
  }
  if (!lost_.empty()) {
    members.set("watching", false);
    members.set("message", lost_);
  }
  return data;
}

}  // namespace cellar::cell
