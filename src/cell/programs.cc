#include "cell/programs.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "json/json.h"
#include "json/reader.h"
#include "sys/directory.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

std::string encode(const Program& program) {
  return json::dump(json::object({{"domain", program.domain},
                                  {"pid", program.pid},
                                  {"command", program.command},
                                  {"lost_by", name_of(program.lost_by)}}));
}

std::optional<Program> decode(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  try {
    const json::Value value = json::parse(*text);
    const json::Reader record(value, "a program's record");
    Program program;
    program.domain = record.required_string("domain");
    program.pid = static_cast<std::uint32_t>(record.required_int("pid", 0, UINT32_MAX));
    program.command = record.required_string("command");
    program.lost_by = parse_lost_by(record.optional_string("lost_by").value_or(""));
    return program;
  } catch (const Error&) {
    return std::nullopt;  // Cut off by a machine that lost power.
  }
}

}  // namespace

std::string command_line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) {
    line.append(line.empty() ? "" : " ").append(word);
    if (line.size() > kCommandLineBytesMax) break;
  }
  line.resize(std::min(line.size(), kCommandLineBytesMax));
  while (!line.empty() && !is_valid_utf8(line)) line.pop_back();
  return line;
}

std::string ProgramRecords::path_of(std::uint64_t number) const {
  return folder_ + "/" + std::to_string(number);
}

void ProgramRecords::find(const std::set<std::uint64_t>& running) {
  sys::make_dirs(folder_, 0700);
  for (const std::string& name : sys::files_in(folder_)) {
    const auto number = parse_int(name);
    auto program = decode(sys::read_file(folder_ + "/" + name));
    if (number && *number > 0 && program) {
      const auto found = static_cast<std::uint64_t>(*number);
      (running.contains(found) ? running_ : lost_).emplace(found, *std::move(program));
    } else {
      sys::remove_file(folder_ + "/" + name);
    }
  }
}

void ProgramRecords::add(std::uint64_t number, std::string domain, std::uint32_t pid,
                         const std::vector<std::string>& words) {
  Program program{std::move(domain), pid, command_line(words)};
  write(number, program);
  running_.emplace(number, std::move(program));
}

void ProgramRecords::write(std::uint64_t number, const Program& program) noexcept {
  try {
    sys::replace_file(path_of(number), encode(program), 0600, sys::Durable::no);
  } catch (const Error& error) {
    log::warning("the next daemon will not know of \"{}\": {}", program.command, error.what());
  }
}

void ProgramRecords::remove(std::uint64_t number) noexcept {
  if (running_.erase(number) > 0) forget(number);
}

void ProgramRecords::forget(std::uint64_t number) noexcept {
  try {
    sys::remove_file(path_of(number));
  } catch (const Error& error) {
    log::warning("it will be told once more as lost: {}", error.what());
  }
}

void ProgramRecords::lose(std::uint64_t number, LostBy why) {
  auto program = running_.extract(number);
  if (!program) return;
  program.mapped().lost_by = why;
  write(number, program.mapped());
  lost_.insert(std::move(program));
}

void ProgramRecords::lose_all(LostBy why) {
  for (auto& [number, program] : running_) {
    program.lost_by = why;
    if (why != LostBy::daemon) write(number, program);  // That is what it says already.
  }
  lost_.merge(running_);
  running_.clear();
  while (lost_.size() > kLostMax) {
    const auto newest = std::prev(lost_.end());
    forget(newest->first);
    lost_.erase(newest);
  }
}

std::vector<Program> ProgramRecords::take_lost() {
  std::vector<Program> told;
  for (auto& [number, program] : lost_) {
    forget(number);
    told.push_back(std::move(program));
  }
  lost_.clear();
  if (told.size() > kLostMax) told.resize(kLostMax);
  return told;
}

std::uint64_t ProgramRecords::last_number() const noexcept {
  const std::uint64_t running = running_.empty() ? 0 : running_.rbegin()->first;
  return std::max(running, lost_.empty() ? 0 : lost_.rbegin()->first);
}

}  // namespace cellar::cell
