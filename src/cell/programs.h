#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cell/lost_by.h"

namespace cellar::cell {

inline constexpr std::size_t kCommandLineBytesMax = 256;
// The words with spaces between them, cut behind kCommandLineBytesMax bytes, between characters.
std::string command_line(const std::vector<std::string>& words);

// A program that the daemon started in a cell: a command, or the agent host.
struct Program {
  std::string domain;               // "shell" or "agent"
  std::uint32_t pid = 0;            // as the domain sees it
  std::string command;              // as command_line() has it
  LostBy lost_by = LostBy::daemon;  // of one that is lost

  bool operator==(const Program&) const = default;
};

// Which programs run in a cell, and which were lost with its processes: what is told when it comes
// back. One file for each below `run/programs`, so that the next daemon knows, too; they need not
// survive a machine that loses power. What a program started itself has no record.
//
// A record that cannot be written or removed is logged: it is no reason for a command to fail.
// Loop thread only; quick, but blocking.
class ProgramRecords {
 public:
  static constexpr std::size_t kLostMax = 100;  // The oldest ones stay.

  explicit ProgramRecords(std::string folder) : folder_(std::move(folder)) {}

  // What an earlier daemon left is lost, but for those with these numbers, which run on.
  void find(const std::set<std::uint64_t>& running = {});

  // `number` is one that no running or lost program has.
  void add(std::uint64_t number, std::string domain, std::uint32_t pid,
           const std::vector<std::string>& words);
  // It ended. Nothing happens where it is lost already, or was never added.
  void remove(std::uint64_t number) noexcept;

  // One that runs is lost, or all are about to be ended with their cell.
  void lose(std::uint64_t number, LostBy why);
  void lose_all(LostBy why);
  // The lost ones, told now: they are forgotten.
  std::vector<Program> take_lost();

  // No record has a larger number.
  std::uint64_t last_number() const noexcept;

 private:
  std::string path_of(std::uint64_t number) const;
  void forget(std::uint64_t number) noexcept;
  void write(std::uint64_t number, const Program& program) noexcept;

  std::string folder_;
  std::map<std::uint64_t, Program> running_;
  std::map<std::uint64_t, Program> lost_;
};

}  // namespace cellar::cell
