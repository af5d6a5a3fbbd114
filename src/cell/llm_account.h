#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "async/pool.h"
#include "async/serial.h"
#include "cell/llm_spec.h"
#include "llm/models.h"

namespace cellar::cell {

namespace asio = boost::asio;

// What a cell has used of models, in its life.
struct LlmUse {
  struct OfModel {
    std::uint64_t requests = 0;  // that were answered, or broke off within their answers
    std::uint64_t input_tokens = 0;
    std::uint64_t output_tokens = 0;
    bool operator==(const OfModel&) const = default;
  };
  std::map<std::string, OfModel> models;
  OfModel total() const noexcept;
};
std::string encode(const LlmUse& use);
// Throws Error `invalid_argument`.
LlmUse decode_llm_use(const std::string& text);

// The books of one cell: what it may ask for, what it has used, how much of it goes on. Loop thread
// only.
class LlmAccount {
 public:
  static constexpr std::size_t kAtOnce = 8;           // attempts of a cell
  static constexpr std::size_t kWaitersMax = 1000;    // for one of these
  static constexpr std::size_t kModelNamesMax = 100;  // the rest is counted together
  static constexpr const char* kOtherModels = "other";

  // `spec` and what is a reference outlive it. `file` need not be there.
  LlmAccount(const asio::any_io_executor& executor, async::Pool& pool, llm::Models& models,
             const LlmSpec& spec, std::string cell_id, std::string file);

  // Reads the file. What does not read is told in the log, and counting begins anew. Blocking for a
  // moment.
  void load();

  const std::string& cell_id() const noexcept { return cell_id_; }
  llm::Models& models() noexcept { return models_; }
  // Throws Error `unavailable`, reason `llm_not_configured` or `llm_off`.
  void require_open() const;
  std::optional<llm::Budget> budget() const;
  // Whether nothing more may be asked by a run that has used so many tokens.
  bool is_spent(std::uint64_t run_tokens) const;
  // Nothing where it did not come within `limit`. Throws Error `unavailable`, reason
  // `too_many_waiting`.
  asio::awaitable<std::optional<async::Serial::Turn>> turn_within(std::chrono::milliseconds limit) {
    return turns_.turn_within(limit);
  }

  // On disk when it returns, or told in the log why not.
  asio::awaitable<void> count(std::string model, llm::Usage usage);
  const LlmUse& use() const noexcept { return use_; }

 private:
  asio::awaitable<void> save();

  async::Pool& pool_;
  llm::Models& models_;
  const LlmSpec& spec_;
  std::string cell_id_;
  std::string file_;
  LlmUse use_;
  std::uint64_t counted_ = 0;  // calls of count()
  std::uint64_t saved_ = 0;    // of which the file has
  async::Serial turns_;
  async::Serial saves_;
};

}  // namespace cellar::cell
