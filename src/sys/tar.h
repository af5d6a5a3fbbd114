#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace cellar::sys {

// One entry of a tar archive, as POSIX (ustar, with extended headers) has it.
struct TarEntry {
  enum class Kind : std::uint8_t { file, folder, link, name, special };
  std::string path;
  Kind kind = Kind::file;
  std::uint64_t size_bytes = 0;  // of a file
  std::uint32_t mode = 0644;     // permission bits
  std::int64_t mtime_s = 0;
  std::string target;  // of a symbolic link, or of one more name of a file
};

inline constexpr std::size_t kTarBlockBytes = 512;

// What stands before the bytes of an entry, with an extended header where the names or the size
// need one. The bytes are filled up to a whole block.
std::string tar_header(const TarEntry& entry);
// What fills up `size_bytes`.
std::string tar_padding(std::uint64_t size_bytes);
// What stands at the end of an archive.
std::string tar_end();

// Takes the entries out of an archive that comes in pieces of any size: ustar, old tar, extended
// headers (path, linkpath, size) and GNU's long names; no sparse files. Names are given as
// they stand there: whoever uses them must not trust them. Not thread-safe.
class TarReader {
 public:
  // Of an extended header, or a long name.
  static constexpr std::size_t kHeaderBytesMax = 64 << 10;

  struct Sink {
    std::function<void(const TarEntry& entry)> begin;
    std::function<void(std::string_view bytes)> data;  // of the file
    std::function<void()> end;
  };

  explicit TarReader(Sink sink) : sink_(std::move(sink)) {}

  // Throws Error `invalid_argument`, reason `invalid_archive`, for what is none. Exceptions of the
  // sink reach the caller. After one of them nothing may be called.
  void feed(std::string_view bytes);
  // Nothing comes any more. Throws as feed() does where the end of the archive has not come.
  void finish() const;

 private:
  enum class In : std::uint8_t { header, file, other, extended, path, target, padding, end };

  void take_header(std::string_view block);
  void take_extended(std::string_view records);
  void begin_data(In state, std::uint64_t size_bytes);
  void end_data();

  Sink sink_;
  In in_ = In::header;
  std::string held_;  // a part of a header, or of what extends the next one
  std::uint64_t left_bytes_ = 0;
  std::uint64_t padding_bytes_ = 0;
  std::string name_;                                          // of the entry, for errors
  std::map<std::string, std::string, std::less<>> extended_;  // of the next entry
};

}  // namespace cellar::sys
