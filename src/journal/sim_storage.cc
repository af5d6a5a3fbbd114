#include "journal/sim_storage.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/error.h"

namespace cellar::journal {
namespace {

std::string folder_of(const std::string& name) {
  const auto slash = name.rfind('/');
  return slash == std::string::npos ? std::string() : name.substr(0, slash);
}

[[noreturn]] void throw_power_lost() {
  throw Error(ErrorCode::unavailable, "power_lost", "the simulated disk has no power");
}

}  // namespace

class SimStorage::SimFile : public File {
 public:
  SimFile(SimStorage& storage, FileId id) : storage_(storage), id_(id) {}

  void write_at(std::uint64_t offset, std::string_view bytes) override {
    storage_.write(id_, offset, bytes);
  }
  void sync() override { storage_.sync(id_); }
  std::string read_at(std::uint64_t offset, std::size_t size) const override {
    storage_.next_read();
    const std::string& data = storage_.files_[id_].seen;
    return offset >= data.size() ? std::string() : data.substr(offset, size);
  }
  std::uint64_t size() const override {
    storage_.require_power();
    return storage_.files_[id_].seen.size();
  }

 private:
  SimStorage& storage_;
  FileId id_;
};

// ---- faults ----

void SimStorage::lose_power_at(int call) { calls_until_power_loss_ = call; }

void SimStorage::fail_at(int call, int error) {
  calls_until_error_ = call;
  error_ = error;
  failing_ = Failing::once;
}

void SimStorage::fail_from(int call, int error) {
  fail_at(call, error);
  failing_ = Failing::from_then_on;
}

void SimStorage::fail_read_at(int call, int error) {
  reads_until_error_ = call;
  error_ = error;
}

void SimStorage::require_power() const {
  if (power_lost_) throw_power_lost();
}

SimStorage::Fault SimStorage::next_call() {
  require_power();
  if (calls_until_power_loss_ > 0 && --calls_until_power_loss_ == 0) {
    power_lost_ = true;
    return Fault::power;
  }
  if (calls_until_error_ > 0 && --calls_until_error_ == 0) {
    has_failed_ = true;
    if (failing_ == Failing::from_then_on) calls_until_error_ = 1;
    return Fault::error;
  }
  return Fault::none;
}

void SimStorage::next_read() {
  require_power();
  if (reads_until_error_ > 0 && --reads_until_error_ == 0) {
    has_failed_ = true;
    throw_errno_value(error_, "read", "simulated file");
  }
}

void SimStorage::restore_power(const std::function<bool(std::size_t)>& keep) {
  for (std::size_t i = 0; i < unsynced_.size(); ++i) {
    if (!keep(i)) continue;
    const Unsynced& piece = unsynced_[i];
    if (piece.file == kNothing) {
      apply(names_on_disk_, piece);
    } else {
      overlay(files_[piece.file].on_disk, piece.offset, piece.bytes);
    }
  }
  unsynced_.clear();
  // A name is lost with the folder that it is in.
  for (auto at = names_on_disk_.begin(); at != names_on_disk_.end();) {
    const std::string folder = folder_of(at->first);
    const bool is_lost = !folder.empty() && !names_on_disk_.contains(folder);
    at = is_lost ? names_on_disk_.erase(at) : std::next(at);
  }
  names_ = names_on_disk_;
  for (Data& file : files_) file.seen = file.on_disk;
  calls_until_power_loss_ = 0;
  calls_until_error_ = 0;
  reads_until_error_ = 0;
  power_lost_ = false;
  has_failed_ = false;
}

void SimStorage::restore_power(std::size_t kept) {
  restore_power([kept](std::size_t piece) { return piece < kept; });
}

// ---- files ----

void SimStorage::overlay(std::string& data, std::uint64_t offset, const std::string& bytes) {
  if (data.size() < offset + bytes.size()) data.resize(offset + bytes.size(), '\0');
  std::copy(bytes.begin(), bytes.end(), data.begin() + static_cast<std::ptrdiff_t>(offset));
}

void SimStorage::write(FileId file, std::uint64_t offset, std::string_view bytes) {
  const Fault fault = next_call();
  if (fault == Fault::error) bytes = bytes.substr(0, bytes.size() / 2);
  const std::size_t end_max =
      files_[file].seen.size() + room_bytes_ - std::min(room_bytes_, used_bytes());
  const bool is_full =
      room_bytes_ < std::numeric_limits<std::size_t>::max() && offset + bytes.size() > end_max;
  if (is_full) bytes = bytes.substr(0, end_max - std::min<std::size_t>(end_max, offset));
  while (!bytes.empty()) {
    const auto size = std::min<std::uint64_t>(sector_bytes_ - offset % sector_bytes_, bytes.size());
    Unsynced piece;
    piece.file = file;
    piece.offset = offset;
    piece.bytes = bytes.substr(0, size);
    overlay(files_[file].seen, offset, piece.bytes);
    unsynced_.push_back(std::move(piece));
    bytes.remove_prefix(size);
    offset += size;
  }
  if (fault == Fault::power) throw_power_lost();
  if (fault == Fault::error) throw_errno_value(error_, "write", "simulated file");
  if (is_full) throw_errno_value(ENOSPC, "write", "simulated file");
}

std::size_t SimStorage::used_bytes() const {
  std::size_t used = 0;
  for (const auto& [name, file] : names_) used += files_[file].seen.size();
  return used;
}

void SimStorage::sync(FileId file) {
  const Fault fault = next_call();
  if (fault == Fault::power) throw_power_lost();
  if (fault == Fault::error) {
    for (Unsynced& piece : unsynced_) {
      if (piece.file == file) piece.is_forgotten = true;
    }
    throw_errno_value(error_, "fdatasync", "simulated file");
  }
  // A sector is written whole, as it is seen: with what a failed sync had left in it.
  Data& data = files_[file];
  std::set<std::uint64_t> sectors;
  for (const Unsynced& piece : unsynced_) {
    if (piece.file == file && !piece.is_forgotten) sectors.insert(piece.offset / sector_bytes_);
  }
  for (const std::uint64_t sector : sectors) {
    const std::uint64_t begin = sector * sector_bytes_;
    overlay(data.on_disk, begin, data.seen.substr(begin, sector_bytes_));
  }
  std::erase_if(unsynced_, [&](const Unsynced& piece) {
    return piece.file == file && sectors.contains(piece.offset / sector_bytes_);
  });
}

// ---- names ----

void SimStorage::apply(Names& names, const Unsynced& change) {
  for (const auto& [name, file] : change.names) {
    if (file == kNothing) {
      names.erase(name);
    } else {
      names[name] = file;
    }
  }
}

void SimStorage::change_names(const std::string& folder,
                              std::vector<std::pair<std::string, FileId>> names) {
  CELLAR_CHECK(folder.empty() || names_.contains(folder));
  Unsynced change;
  change.folder = folder;
  change.names = std::move(names);
  apply(names_, change);
  unsynced_.push_back(std::move(change));
}

std::vector<std::string> SimStorage::list(const std::string& name) const {
  return names_in(name, [](FileId file) { return file != kFolder; });
}

std::vector<std::string> SimStorage::list_folders(const std::string& name) const {
  return names_in(name, [](FileId file) { return file == kFolder; });
}

std::vector<std::string> SimStorage::names_in(const std::string& folder,
                                              bool (*is_meant)(FileId)) const {
  require_power();
  std::vector<std::string> found;
  for (const auto& [name, file] : names_) {
    if (is_meant(file) && folder_of(name) == folder) {
      found.push_back(name.substr(name.rfind('/') + 1));
    }
  }
  return found;
}

std::unique_ptr<File> SimStorage::create(const std::string& name) {
  const Fault fault = next_call();
  if (fault == Fault::error) throw_errno_value(error_, "open", name);
  files_.emplace_back();
  const auto id = static_cast<FileId>(files_.size() - 1);
  change_names(folder_of(name), {{name, id}});
  if (fault == Fault::power) throw_power_lost();
  return std::make_unique<SimFile>(*this, id);
}

std::unique_ptr<File> SimStorage::open(const std::string& name) {
  require_power();
  const auto found = names_.find(name);
  if (found == names_.end()) return nullptr;
  return std::make_unique<SimFile>(*this, found->second);
}

void SimStorage::rename(const std::string& from, const std::string& to) {
  const Fault fault = next_call();
  if (fault == Fault::error) throw_errno_value(error_, "rename", to);
  const FileId file = names_.at(from);
  if (folder_of(from) == folder_of(to)) {
    change_names(folder_of(to), {{from, kNothing}, {to, file}});
  } else {
    change_names(folder_of(to), {{to, file}});
    change_names(folder_of(from), {{from, kNothing}});
  }
  if (fault == Fault::power) throw_power_lost();
}

void SimStorage::remove(const std::string& name) {
  const Fault fault = next_call();
  if (fault == Fault::error) throw_errno_value(error_, "unlink", name);
  change_names(folder_of(name), {{name, kNothing}});
  if (fault == Fault::power) throw_power_lost();
}

void SimStorage::make_folder(const std::string& name) {
  if (name.empty() || names_.contains(name)) return;
  make_folder(folder_of(name));
  const Fault fault = next_call();
  if (fault == Fault::error) throw_errno_value(error_, "mkdir", name);
  change_names(folder_of(name), {{name, kFolder}});
  if (fault == Fault::power) throw_power_lost();
}

void SimStorage::sync_names(const std::string& name) {
  const Fault fault = next_call();
  if (fault == Fault::power) throw_power_lost();
  if (fault == Fault::error) throw_errno_value(error_, "fsync", name);
  std::erase_if(unsynced_, [&](const Unsynced& change) {
    if (change.file != kNothing || change.folder != name) return false;
    apply(names_on_disk_, change);
    return true;
  });
}

// ---- from outside ----

std::string SimStorage::contents(const std::string& name) const {
  return files_[names_.at(name)].seen;
}

void SimStorage::put(const std::string& name, const std::string& bytes) {
  files_.push_back({.seen = bytes, .on_disk = bytes});
  const auto id = static_cast<FileId>(files_.size() - 1);
  names_[name] = id;
  names_on_disk_[name] = id;
}

}  // namespace cellar::journal
