#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "async/task_group.h"
#include "cell/domains.h"
#include "cell/fresh_cell.h"

namespace cellar::cell {

// Fresh cells that are there before anybody creates one: of what a new cell needs, only what says
// whose it is is left to do. Loop thread only.
//
// They are made one after the other, in a folder beside that of cells. What a daemon that was
// killed left there the next one removes, and ends the processes, whose slots no cell has.
class FreshCells {
 public:
  struct Options {
    std::size_t count = 0;  // ahead; 0: none
    std::string dir;        // of their folders, on the file system of those of cells
    // Ranges of ids that no cell has or gets until they are given back.
    std::function<asio::awaitable<std::uint32_t>()> reserve_uid_index;
    std::function<asio::awaitable<void>(std::uint32_t)> free_uid_index;
  };
  // `machine` must outlive it.
  FreshCells(const Machine& machine, Options options);
  FreshCells(const FreshCells&) = delete;
  FreshCells& operator=(const FreshCells&) = delete;

  // Begins to make them.
  void start();
  // Ends and removes those that nobody has. Nothing may be taken afterwards.
  asio::awaitable<void> close();

  // One with the default image, which has this digest now: the caller's from then on, with its
  // ranges. nullopt where none is ready.
  std::optional<FreshCell> take(const std::string& image_digest);
  // Ends and removes one that was taken for nothing: nothing of it is left when this returns, or
  // the log says why. Its files are left alone where they have another name by now.
  asio::awaitable<void> end(FreshCell fresh);

 private:
  void discard(FreshCell fresh);  // end(), some time later
  asio::awaitable<void> keep_full();
  asio::awaitable<void> make_one();
  asio::awaitable<void> make_domains(FreshCell& fresh, std::string image_dir);

  const Machine& machine_;
  Options options_;
  std::deque<FreshCell> ready_;
  async::TaskGroup makings_;  // go on to their end
  async::TaskGroup endings_;  // likewise
  async::TaskGroup tasks_;
};

}  // namespace cellar::cell
