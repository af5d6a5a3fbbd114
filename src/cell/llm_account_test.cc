#include "cell/llm_account.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "base/error.h"
#include "json/json.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

class NoResolver : public net::Resolver {
 public:
  asio::awaitable<std::vector<asio::ip::address>> resolve(std::string, std::string, Work) override {
    co_return std::vector<asio::ip::address>();
  }
};

// An account of a daemon with one provider.
struct Books {
  explicit Books(std::string path, std::optional<llm::Budget> of_daemon = {})
      : models(loop.get_executor(), pool, resolver, tls,
               {.providers = {{.name = "one"}}, .budget = of_daemon}),
        file(std::move(path)) {}

  LlmAccount account() { return {loop.get_executor(), pool, models, spec, "dev--a", file}; }
  void count(LlmAccount& account, const std::string& model, std::uint64_t in, std::uint64_t out) {
    const llm::Usage usage{.input_tokens = in, .output_tokens = out};
    asio::co_spawn(loop, account.count(model, usage),
                   [](const std::exception_ptr& error) { CHECK(!error); });
    loop.restart();
    loop.run();
  }

  asio::io_context loop;
  async::Pool pool{1};
  NoResolver resolver;
  net::TlsClient tls;
  llm::Models models;
  LlmSpec spec;
  std::string file;
};

std::string reason_closed(const LlmAccount& account) {
  try {
    account.require_open();
  } catch (const Error& error) {
    return error.reason();
  }
  return "open";
}

}  // namespace

TEST_CASE("what a cell used of models is on disk at once, and read again") {
  const testing::TempDir dir;
  Books books(dir.file("llm.json"));
  LlmAccount account = books.account();
  books.count(account, "small", 5, 7);
  books.count(account, "small", 1, 1);
  books.count(account, "big", 100, 0);
  LlmAccount again = books.account();
  again.load();
  CHECK(again.use().models == account.use().models);
  CHECK(again.use().models.at("small") == LlmUse::OfModel{2, 6, 8});
  CHECK(again.use().total() == LlmUse::OfModel{3, 106, 8});
}

TEST_CASE("more names of models than are kept apart are counted together") {
  const testing::TempDir dir;
  Books books(dir.file("llm.json"));
  LlmAccount account = books.account();
  for (std::size_t at = 0; at < LlmAccount::kModelNamesMax + 2; ++at) {
    books.count(account, "m" + std::to_string(at), 1, 0);
  }
  CHECK(account.use().models.size() == LlmAccount::kModelNamesMax + 1);
  CHECK(account.use().models.at(LlmAccount::kOtherModels).requests == 2);
}

TEST_CASE("a file that does not read begins anew, and one that cannot be written loses no answer") {
  const testing::TempDir dir;
  sys::replace_file(dir.file("llm.json"), "{\"version\":1,\"models\":{\"a\":7}}");
  Books books(dir.file("llm.json"));
  LlmAccount account = books.account();
  account.load();
  CHECK(account.use().models.empty());
  Books nowhere(dir.file("no/such/llm.json"));
  LlmAccount lost = nowhere.account();
  nowhere.count(lost, "small", 1, 1);
  CHECK(lost.use().total().requests == 1);
}

TEST_CASE("a budget is the cell's own or else the daemon's, of the cell or of each run") {
  const testing::TempDir dir;
  Books books(dir.file("llm.json"), llm::Budget{10, llm::Budget::Per::cell});
  LlmAccount account = books.account();
  books.count(account, "small", 5, 4);
  CHECK_FALSE(account.is_spent(1000));
  books.count(account, "small", 1, 0);
  CHECK(account.is_spent(0));
  books.spec.budget = llm::Budget{20, llm::Budget::Per::run};
  CHECK_FALSE(account.is_spent(19));
  CHECK(account.is_spent(20));
  books.spec.is_allowed = false;
  CHECK(reason_closed(account) == "llm_off");
  CHECK_FALSE(account.is_spent(20));  // It says no by itself.
}

TEST_CASE("so many attempts go on at a time, so many wait, and the next is refused") {
  const testing::TempDir dir;
  Books books(dir.file("llm.json"));
  LlmAccount account = books.account();
  std::size_t refused = 0;
  std::size_t held = 0;
  std::vector<async::Serial::Turn> turns;
  const auto take = [&]() -> asio::awaitable<void> {
    try {
      auto turn = co_await account.turn_within(async::Event::kForever);
      turns.push_back(std::move(turn).value());
      ++held;
    } catch (const Error& error) {
      CHECK(error.reason() == "too_many_waiting");
      ++refused;
    }
  };
  for (std::size_t at = 0; at <= LlmAccount::kAtOnce + LlmAccount::kWaitersMax; ++at) {
    asio::co_spawn(books.loop, take(), [](const std::exception_ptr& error) { CHECK(!error); });
  }
  books.loop.poll();
  CHECK(held == LlmAccount::kAtOnce);
  CHECK(refused == 1);
  while (held < LlmAccount::kAtOnce + LlmAccount::kWaitersMax) {
    turns.clear();
    books.loop.restart();
    books.loop.poll();
  }
  turns.clear();
}

TEST_CASE("a cell's settings are read as they are shown, and what is wrong is named") {
  for (const char* text :
       {R"({"enabled":true})", R"({"enabled":false,"budget":{"tokens":5,"per":"run"}})"}) {
    CHECK(json::dump(to_json(read_llm(json::parse(text)))) == text);
  }
  CHECK(read_llm(json::Value(false)) == LlmSpec{.is_allowed = false});
  CHECK_THROWS_AS(read_llm(json::parse(R"({"budgets":1})")), Error);
  CHECK_THROWS_AS(read_llm(json::parse("7")), Error);
}

}  // namespace cellar::cell
