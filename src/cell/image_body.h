#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "journal/journal.h"

namespace cellar::cell {

namespace asio = boost::asio;

class CellJournal;

// The body of a `run` frame: values of a run, one behind the other, which are read as they are
// sent. What is there already is held until then while `held`, of all bodies of a cell together, is
// below kHeldBytesMax. Loop thread only. It may be there, but is not used, when the journal is
// gone.
class ImageBody {
 public:
  static constexpr std::size_t kHeldBytesMax = 16 << 20;

  // The plain value of a sealed one, nullopt where it was sealed with another key. Any thread.
  using Open = std::function<std::optional<std::string>(std::string_view)>;

  ImageBody(CellJournal& journal, Open open, std::shared_ptr<std::size_t> held);
  ~ImageBody();
  ImageBody(const ImageBody&) = delete;
  ImageBody& operator=(const ImageBody&) = delete;

  // The next value, which the record at `lsn` holds. Returns how many bytes of the body it takes.
  std::size_t add(journal::Lsn lsn, journal::Payload value, bool sealed);
  std::size_t bytes() const noexcept { return bytes_; }
  // Whether check() has something to do.
  bool needs_check() const noexcept { return needs_check_; }

  // Reads what may be damaged or sealed with another key, so that this is met before the agent has
  // had half of a frame. Throws Error `corrupt`, or `unavailable` with the reason `values_sealed`.
  asio::awaitable<void> check();
  // The bytes behind those that it gave before; "" behind the last ones. Throws the same.
  asio::awaitable<std::string> next();

 private:
  struct Value {
    journal::Lsn lsn = 0;
    bool sealed = false;
    bool is_apart = false;                 // sealed, or in a blob
    std::optional<journal::Payload> held;  // where it was not too much
  };
  struct Loaded {
    journal::Payload value;
    bool sealed = false;
  };
  // Values to be given in one piece.
  struct Piece {
    std::vector<Loaded> values;
    std::size_t bytes = 0;
    std::size_t weight = 0;  // with what it costs to look for each

    void add(Loaded value);
    bool is_full() const noexcept;
  };
  asio::awaitable<std::string> load(Piece piece);
  void give_back(const journal::Payload& value) noexcept;

  CellJournal& journal_;
  Open open_;
  std::shared_ptr<std::size_t> held_;
  std::vector<Value> values_;
  std::size_t next_ = 0;
  std::size_t bytes_ = 0;
  bool needs_check_ = false;
  journal::ReadAhead ahead_;
};

[[noreturn]] void throw_values_sealed();

}  // namespace cellar::cell
