#include "cell/process_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "json/json.h"
#include "json/reader.h"
#include "sys/directory.h"
#include "sys/file.h"
#include "sys/new_file.h"
#include "sys/positioned.h"
#include "sys/splice.h"

namespace cellar::cell {
namespace {

using State = ProcessFiles::Taken::State;

constexpr std::size_t kTakenBytesMax = 64 << 10;
constexpr std::size_t kNoteBytes = 9;
constexpr std::uint8_t kForgotten = 2;
constexpr std::string_view kRecord = "record.json";
constexpr std::string_view kOutput = "output";
constexpr std::string_view kStreams = "streams";

json::Value to_json(const ProcessRecord::End& end) {
  json::Value value = json::object({{"at_ms", to_unix_ms(end.at)},
                                    {"wait_status", end.wait_status},
                                    {"timed_out", end.timed_out},
                                    {"output_first", end.output_first},
                                    {"output_next", end.output_next}});
  if (end.lost) value.as_object().set("lost_by", name_of(*end.lost));
  return value;
}

ProcessRecord::End end_of(const json::Reader& reader) {
  ProcessRecord::End end;
  end.at = from_unix_ms(reader.required_int("at_ms", 0, INT64_MAX));
  end.wait_status = static_cast<int>(reader.required_int("wait_status", 0, INT32_MAX));
  end.timed_out = reader.required_bool("timed_out");
  end.output_first = static_cast<std::uint64_t>(reader.required_int("output_first", 0, INT64_MAX));
  end.output_next = static_cast<std::uint64_t>(reader.required_int("output_next", 0, INT64_MAX));
  if (const auto lost_by = reader.optional_string("lost_by")) end.lost = parse_lost_by(*lost_by);
  return end;
}

std::string encode(const ProcessRecord& record) {
  json::Array joined;
  for (const std::string& folder : record.joined) joined.push_back(folder);
  json::Value value = json::object({{"program", record.program},
                                    {"command", record.command},
                                    {"pid", record.pid},
                                    {"terminal", record.has_terminal},
                                    {"stdin", record.takes_input},
                                    {"outlives_daemon", record.outlives_daemon},
                                    {"joined", std::move(joined)},
                                    {"started_at_ms", to_unix_ms(record.started_at)}});
  json::Object& members = value.as_object();
  if (record.times_out_at) members.set("times_out_at_ms", to_unix_ms(*record.times_out_at));
  if (record.end) members.set("end", to_json(*record.end));
  return json::dump(value);
}

std::optional<ProcessRecord> decode(std::uint64_t number, const std::optional<std::string>& text) {
  constexpr std::size_t kJoinedMax = 16;
  if (!text) return std::nullopt;
  try {
    const json::Value value = json::parse(*text);
    const json::Reader reader(value, "a process' record");
    ProcessRecord record{.number = number};
    record.program = static_cast<std::uint32_t>(reader.required_int("program", 0, UINT32_MAX));
    record.command = reader.required_string("command");
    record.pid = static_cast<std::uint32_t>(reader.required_int("pid", 0, UINT32_MAX));
    record.has_terminal = reader.required_bool("terminal");
    record.takes_input = reader.required_bool("stdin");
    record.outlives_daemon = reader.required_bool("outlives_daemon");
    record.joined = reader.optional_strings("joined", kJoinedMax).value_or(record.joined);
    record.started_at = from_unix_ms(reader.required_int("started_at_ms", 0, INT64_MAX));
    const auto times_out_at = reader.optional_int("times_out_at_ms", 0, INT64_MAX);
    if (times_out_at) record.times_out_at = from_unix_ms(*times_out_at);
    if (const auto end = reader.optional_object("end")) record.end = end_of(*end);
    return record;
  } catch (const Error&) {
    return std::nullopt;  // Cut off by a machine that lost power.
  }
}

// What the notes say, but for what was forgotten.
struct Part {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint8_t stream = 0;
};
struct Notes {
  std::uint64_t first = 0;
  std::vector<Part> parts;
  std::size_t count = 0;
};

Notes read_notes(const std::string& text, std::uint64_t next) {
  Notes notes;
  for (; (notes.count + 1) * kNoteBytes <= text.size(); ++notes.count) {
    const std::size_t at = notes.count * kNoteBytes;
    // In order they are, but where a crash of the machine has damaged them.
    const std::uint64_t least = notes.parts.empty() ? 0 : notes.parts.back().begin;
    const std::uint64_t place = std::clamp(get_le<std::uint64_t>(text, at), least, next);
    const auto what = static_cast<std::uint8_t>(text[at + kNoteBytes - 1]);
    if (what == kForgotten) {
      notes.first = std::max(notes.first, place);
      continue;
    }
    if (!notes.parts.empty()) notes.parts.back().end = place;
    notes.parts.push_back({place, next, what});
  }
  for (Part& part : notes.parts) part.begin = std::max(part.begin, notes.first);
  std::erase_if(notes.parts, [](const Part& part) { return part.begin >= part.end; });
  return notes;
}

}  // namespace

void ProcessFiles::create(const ProcessRecord& record) {
  sys::make_dirs(folder_);
  write(record);
  constexpr int kNew = O_RDWR | O_CREAT | O_TRUNC;
  output_ = sys::open_file(path(kOutput), kNew);
  streams_ = sys::open_file(path(kStreams), kNew);
}

void ProcessFiles::open() {
  output_ = sys::open_file(path(kOutput), O_RDWR);
  next_ = sys::file_size(output_.get(), path(kOutput));
  told_ = next_;
  ::lseek(output_.get(), static_cast<off_t>(next_), SEEK_SET);
  const Notes notes = read_notes(sys::read_file(path(kStreams)).value_or(""), next_);
  first_ = notes.first;
  note_count_ = notes.count;
  streams_ = sys::open_file(path(kStreams), O_RDWR);
  ::lseek(streams_.get(), static_cast<off_t>(notes.count * kNoteBytes), SEEK_SET);
}

void ProcessFiles::write(const ProcessRecord& record) const {
  sys::replace_file(path(kRecord), encode(record), 0600, sys::Durable::no);
}

bool ProcessFiles::note(std::uint64_t place, std::uint8_t what) {
  std::string bytes;
  put_le(bytes, place);
  bytes.push_back(static_cast<char>(what));
  const auto at = note_count_ * kNoteBytes;
  try {
    sys::write_all_at(streams_.get(), bytes, at, path(kStreams));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::exhausted) return false;
    throw;
  }
  ++note_count_;
  return true;
}

ProcessFiles::Taken ProcessFiles::take(int source, OutputLog::Stream stream,
                                       const sys::Pipe* through) {
  if (told_ < next_) return tell();
  const auto what = static_cast<std::uint8_t>(stream);
  const int from = through == nullptr ? source : through->read_end.get();
  if (last_ != what) {
    if (!note(next_, what)) return {.state = State::no_room};
    last_ = what;
  }
  sys::Spliced moved = sys::splice(from, output_.get(), kTakenBytesMax);
  if (through != nullptr && moved.state == sys::Spliced::State::would_block) {
    const auto shown = sys::splice(source, through->write_end.get(), kTakenBytesMax);
    if (shown.state == sys::Spliced::State::would_block) return {.state = State::none_now};
    // A terminal that nobody has any more gives EIO.
    if (shown.state != sys::Spliced::State::moved) return {.state = State::ended};
    moved = sys::splice(from, output_.get(), kTakenBytesMax);
  }
  if (moved.state == sys::Spliced::State::would_block) return {.state = State::none_now};
  if (moved.state == sys::Spliced::State::ended) return {.state = State::ended};
  if (moved.state == sys::Spliced::State::failed) return {.state = State::no_room};  // Of the file.
  next_ += moved.bytes;
  return tell();
}

ProcessFiles::Taken ProcessFiles::tell() {
  CELLAR_CHECK(last_);
  Taken taken{.state = State::some,
              .stream = static_cast<OutputLog::Stream>(*last_),
              .bytes = sys::read_at(output_.get(), told_, next_ - told_, path(kOutput))};
  told_ = next_;
  try {
    forget_old();
  } catch (const Error& error) {
    // What was taken is told all the same; it is tried again with what comes next.
    log::debug("old output stays: {}", error.what());
  }
  return taken;
}

void ProcessFiles::forget_old() {
  if (next_ - first_ > 2 * kOutputKeptBytes) {
    const std::uint64_t first = next_ - kOutputKeptBytes;
    if (!note(first, kForgotten)) return;
    first_ = first;
    give_back();
  }
  if (note_count_ > 2 * OutputLog::kChangesMax) shorten_notes();
}

// What is before the first byte that is kept.
void ProcessFiles::give_back() {
  if (sys::forget_beginning(output_.get(), first_, path(kOutput))) return;
  sys::NewFile kept(path(kOutput));
  kept.skip(first_);
  kept.write(sys::read_at(output_.get(), first_, next_ - first_, path(kOutput)));
  output_ = kept.replace(sys::Durable::no);
}

// Leaves only the newest changes, and what is needed to tell the streams apart from there on.
void ProcessFiles::shorten_notes() {
  const Notes notes = read_notes(sys::read_file(path(kStreams)).value_or(""), next_);
  const bool has_many = notes.parts.size() > OutputLog::kChangesMax;
  const std::uint64_t first =
      has_many ? notes.parts[notes.parts.size() - OutputLog::kChangesMax].begin : first_;
  std::string text;
  const auto add = [&text](std::uint64_t place, std::uint8_t what) {
    put_le(text, place);
    text.push_back(static_cast<char>(what));
  };
  add(first, kForgotten);
  for (const Part& part : notes.parts) {
    if (part.end > first) add(std::max(part.begin, first), part.stream);
  }
  sys::NewFile file(path(kStreams));
  file.write(text);
  streams_ = file.replace(sys::Durable::no);
  note_count_ = text.size() / kNoteBytes;
  first_ = first;
  last_.reset();
  give_back();
}

OutputLog ProcessFiles::load() const {
  const sys::Fd output = sys::open_file(path(kOutput), O_RDONLY);
  const std::uint64_t next = sys::file_size(output.get(), path(kOutput));
  const Notes notes = read_notes(sys::read_file(path(kStreams)).value_or(""), next);
  OutputLog log(kOutputKeptBytes, notes.parts.empty() ? next : notes.parts.front().begin);
  for (const Part& part : notes.parts) {
    log.append(part.stream == 0 ? OutputLog::Stream::out : OutputLog::Stream::err,
               sys::read_at(output.get(), part.begin, part.end - part.begin, path(kOutput)));
  }
  return log;
}

void ProcessFiles::forget_output() const {
  sys::remove_file(path(kOutput));
  sys::remove_file(path(kStreams));
}

void ProcessFiles::remove() const { sys::remove_tree(folder_); }

std::vector<ProcessRecord> find_process_records(const std::string& folder) {
  std::vector<ProcessRecord> found;
  if (!sys::exists(folder)) return found;
  for (const std::string& name : sys::folders_in(folder)) {
    const std::string path = folder + "/" + name;
    const auto number = parse_int(name);
    auto record = decode(static_cast<std::uint64_t>(std::max<std::int64_t>(0, number.value_or(0))),
                         sys::read_file(path + "/" + std::string(kRecord)));
    if (record && record->number > 0) {
      found.push_back(*std::move(record));
    } else {
      sys::remove_tree(path);
    }
  }
  const auto by_number = [](const auto& a, const auto& b) { return a.number < b.number; };
  std::sort(found.begin(), found.end(), by_number);
  return found;
}

}  // namespace cellar::cell
