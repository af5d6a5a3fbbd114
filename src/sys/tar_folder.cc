#include "sys/tar_folder.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "sys/beneath_parts.h"
#include "sys/node.h"
#include "sys/positioned.h"

namespace cellar::sys {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

// Whether a link at `path` stays in the folder, by its words alone: a ".." behind a name could lead
// up from wherever a link of that name leads.
bool stays_inside(const std::string& path, const std::string& target) {
  if (target.starts_with('/')) return false;
  bool is_down = false;
  for (const auto name : split(target, '/')) {
    if (name == ".." && is_down) return false;
    is_down = is_down || (name != ".." && name != "." && !name.empty());
  }
  const std::size_t slash = path.rfind('/');
  const std::string parent = slash == path.npos ? "" : path.substr(0, slash + 1);
  try {
    normalize_path(parent + target);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

TarPacker::TarPacker(BeneathDir folder, OnLeftOut on_left_out)
    : folder_(std::move(folder)), on_left_out_(std::move(on_left_out)), tree_(folder_.walk(".")) {}

std::string TarPacker::next() {
  std::string out;
  TreeWalk::Visitor visitor;
  visitor.each = [this](DirEntry& entry) { entries_.push_back(std::move(entry)); };
  while (out.size() < kPieceBytes && !has_ended_) {
    if (file_) {
      read_on(out);
    } else if (!entries_.empty()) {
      const DirEntry entry = std::move(entries_.front());
      entries_.pop_front();
      begin(entry, out);
    } else if (!tree_.step(visitor)) {
      if (tree_.is_cut()) {
        throw Error(ErrorCode::too_large, "archive_too_large",
                    "the folder holds more files than an archive is made of");
      }
      out += tar_end();
      has_ended_ = true;
    }
  }
  return out;
}

void TarPacker::begin(const DirEntry& entry, std::string& out) {
  TarEntry header;
  header.path = entry.path;
  header.mode = entry.stat.mode & 0777;  // Whoever unpacks it as root gets no set-user-id file.
  header.mtime_s = entry.stat.mtime_ns / kNsPerSecond;
  if (entry.stat.kind == FileKind::special) {
    if (on_left_out_) on_left_out_(entry.path);
    return;
  }
  if (entry.stat.kind == FileKind::directory) {
    header.path += '/';
    header.kind = TarEntry::Kind::folder;
  } else if (entry.stat.kind == FileKind::symlink) {
    header.kind = TarEntry::Kind::link;
    header.target = entry.target;
    ++count_.files;
  } else {
    auto file = folder_.open_itself(entry.path);
    if (!file || !file->fd) return;  // It has vanished, or is something else by now.
    header.size_bytes = file->stat.size_bytes;
    file_ = std::move(file->fd);
    path_ = entry.path;
    at_ = 0;
    size_ = header.size_bytes;
    ++count_.files;
  }
  ++count_.entries;
  out += tar_header(header);
}

void TarPacker::read_on(std::string& out) {
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, size_ - at_));
  const std::string bytes = read_at(file_.get(), at_, wanted, path_);
  if (bytes.size() < wanted) {
    throw Error(ErrorCode::conflict, "file_changed",
                "file '" + path_ + "' became shorter while it was read", "try again");
  }
  at_ += bytes.size();
  count_.bytes += bytes.size();
  out += bytes;
  if (at_ < size_) return;
  out += tar_padding(size_);
  file_.reset();
}

TarUnpacker::TarUnpacker(BeneathDir folder, Options options)
    : folder_(std::move(folder)),
      options_(std::move(options)),
      reader_({.begin = [this](const TarEntry& entry) { begin(entry); },
               .data =
                   [this](std::string_view bytes) {
                     file_->write(bytes);
                     count_.bytes += bytes.size();
                   },
               .end =
                   [this] {
                     file_->finish(Durable::no);
                     file_->replace(Durable::no);
                     file_.reset();
                   }}) {}

void TarUnpacker::begin(const TarEntry& entry) {
  if (++count_.entries > options_.entries_max) {
    throw Error(
        ErrorCode::too_large, "archive_too_large",
        "the tar archive has more than " + std::to_string(options_.entries_max) + " entries",
        "send it in several parts");
  }
  try {
    const std::string path = normalize_path(entry.path);
    // Not of a device, which makes nothing.
    if (entry.kind != TarEntry::Kind::special) count_.entries += folder_.make_folders_above(path);
    make(entry, path);
  } catch (const Error& error) {
    const bool is_ours = error.code() == ErrorCode::invalid_argument ||
                         error.code() == ErrorCode::not_found ||
                         error.code() == ErrorCode::already_exists;
    if (!is_ours) throw;
    throw Error(ErrorCode::invalid_argument, "unsafe_archive",
                "the tar archive's entry '" + entry.path.substr(0, 200) +
                    "' is not unpacked: " + error.what(),
                "what came before it is there; leave it out, or delete what is in its way");
  }
}

// Whether no link is on the way to it, so that a ".." of a link there leads where its words say.
bool TarUnpacker::has_real_parent(const std::string& path) const {
  const std::string parent = parent_of(path);
  if (parent == ".") return true;
  const auto there = folder_.stat_entry(parent);
  return there && there->kind == FileKind::directory;
}

void TarUnpacker::make(const TarEntry& entry, const std::string& path) {
  switch (entry.kind) {
    case TarEntry::Kind::file: {
      const mode_t mode = entry.mode;
      file_.emplace(folder_.begin_write(
          path, {.new_mode = mode,
                 .mode = mode,
                 .mtime_ns = std::min<std::int64_t>(entry.mtime_s, INT64_MAX / kNsPerSecond) *
                             kNsPerSecond}));
      break;
    }
    case TarEntry::Kind::folder:
      // Who unpacks must be able to write there.
      folder_.make_folder(path, entry.mode | 0700, Durable::no);
      return;
    case TarEntry::Kind::link:
      if (options_.links == Links::inside &&
          !(stays_inside(path, entry.target) && has_real_parent(path))) {
        if (options_.on_left_out) options_.on_left_out(path);
        return;
      }
      folder_.make_link(path, entry.target);
      break;
    case TarEntry::Kind::name:
      folder_.make_name(path, entry.target);
      break;
    case TarEntry::Kind::special:
      throw Error(ErrorCode::invalid_argument, "it is a device or a pipe");
  }
  ++count_.files;
}

void TarUnpacker::finish(Durable durable) {
  reader_.finish();
  if (durable == Durable::yes) folder_.sync_all();
}

}  // namespace cellar::sys
