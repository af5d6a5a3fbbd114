#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "cell/lost_by.h"
#include "cell/output_log.h"
#include "sys/fd.h"

// What the next daemon has to know of a process (process.h): files in a folder of its own,
// `run/processes/<number>/`. They outlive cellard, whenever it is killed, and need not survive a
// machine that loses power. All is blocking: on the
// pool; take() in the lane of what it reads.
//
//   record.json   ProcessRecord
//   output        what it wrote, each byte at its place (OutputLog); the oldest are a hole. Where
//   the file
//                 system cannot make one in a file, a new file that begins with one
//   streams       9 bytes for each change: u64 place, u8 what comes from there on: 0 stdout,
//                 1 stderr; 2: what is before was forgotten. The last one at a place holds.
namespace cellar::cell {

struct ProcessRecord {
  std::uint64_t number = 0;   // of the program in its cell
  std::uint32_t program = 0;  // what its domain calls it
  std::string command;        // as command_line() has it
  std::uint32_t pid = 0;      // as its domain sees it; 0: it has not begun
  bool has_terminal = false;
  bool takes_input = false;
  bool outlives_daemon = false;
  std::vector<std::string> joined;  // CommandPlace::join
  WallTime started_at;
  std::optional<WallTime> times_out_at;
  struct End {
    WallTime at;
    int wait_status = 0;  // as waitpid(2) gives it
    std::optional<LostBy> lost;
    bool timed_out = false;
    std::uint64_t output_first = 0;  // places, as OutputLog has them
    std::uint64_t output_next = 0;
    bool operator==(const End&) const = default;
  };
  std::optional<End> end;

  bool operator==(const ProcessRecord&) const = default;
};

class ProcessFiles {
 public:
  // Output that is kept at least; at most twice as much.
  static constexpr std::size_t kOutputKeptBytes = 1 << 20;

  explicit ProcessFiles(std::string folder) : folder_(std::move(folder)) {}

  // Of a new process. Throws Error.
  void create(const ProcessRecord& record);
  // Of one whose output goes on, as it was left. Throws Error.
  void open();

  // Throws Error.
  void write(const ProcessRecord& record) const;

  // Moves what there is to read in `source`, one piece of it, behind the output: killed at any
  // moment, each byte is in the one or the other. A terminal gives its bytes by way of `through`, a
  // pipe that whoever keeps `source` keeps, too. Waits for nothing but the disk.
  // At `no_room` it stays where it is. Throws Error: of what was moved and could not be read then,
  // the next call tells first, whatever it is asked for.
  struct Taken {
    enum class State : std::uint8_t { some, none_now, no_room, ended };
    State state = State::ended;
    OutputLog::Stream stream = OutputLog::Stream::out;  // of the bytes
    std::string bytes;
  };
  Taken take(int source, OutputLog::Stream stream, const sys::Pipe* through);

  // What is kept of the output. Throws Error.
  OutputLog load() const;
  // All of it is given back.
  void forget_output() const;
  void remove() const;

 private:
  std::string path(std::string_view file) const { return folder_ + "/" + std::string(file); }
  // False where the disk has no room for it.
  bool note(std::uint64_t place, std::uint8_t what);
  Taken tell();
  void forget_old();
  void give_back();
  void shorten_notes();

  std::string folder_;
  sys::Fd output_;
  sys::Fd streams_;
  std::uint64_t next_ = 0;            // the place of the next byte
  std::uint64_t told_ = 0;            // what is before it was taken
  std::uint64_t first_ = 0;           // of the oldest that is kept
  std::optional<std::uint8_t> last_;  // the stream that was noted last
  std::size_t note_count_ = 0;
};

// What earlier daemons left in a cell's folder of processes, by number. What a crash of the machine
// has damaged is removed. Throws Error.
std::vector<ProcessRecord> find_process_records(const std::string& folder);

}  // namespace cellar::cell
