// The life of cells: create, list, get, states, delete.

#include <algorithm>
#include <iterator>

#include "api/api.h"
#include "api/cursor.h"
#include "api/views.h"
#include "base/error.h"
#include "json/reader.h"

namespace cellar::api {
namespace {

constexpr std::size_t kCreateBodyMax = 16 << 20;
constexpr std::size_t kAllowMax = 256;
constexpr std::int64_t kIdleTimeoutMaxS = 31'536'000;
constexpr std::int64_t kRunRetentionMaxS = 10LL * 31'536'000;
constexpr std::int64_t kListMax = 10'000;

cell::CellSettings settings_of(const json::Reader& body) {
  cell::CellSettings settings;
  settings.image = body.optional_string("image");
  if (const auto runtime = body.optional_string("runtime")) {
    settings.runtime = cell::parse_runtime(*runtime);
  }
  settings.tier = body.optional_string("tier");
  settings.permanent = body.optional_bool("permanent");
  settings.agent = body.optional_string("agent");
  const auto language = body.optional_string("agent_language");
  if (language && !settings.agent) {
    throw Error(ErrorCode::invalid_argument, "invalid_agent_language",
                "\"agent_language\" says what \"agent\" is written in, and there is no \"agent\"");
  }
  settings.agent_language = cell::parse_agent_language(language.value_or(""));
  if (const json::Value* secrets = body.optional_value("secrets")) {
    settings.secrets = cell::read_secrets(*secrets);
  }
  settings.allow = body.optional_strings("allow", kAllowMax);
  if (const json::Value* network = body.optional_value("network")) {
    settings.network = cell::read_network(*network);
  }
  if (const json::Value* llm = body.optional_value("llm")) settings.llm = cell::read_llm(*llm);
  if (settings.allow && settings.network) {
    throw Error(ErrorCode::invalid_argument, "invalid_network",
                "\"allow\" is the policy {\"allow\": [...]}, and \"network\" is one, too",
                "leave \"allow\" out");
  }
  if (const auto seconds = body.optional_int("idle_timeout_s", 1, kIdleTimeoutMaxS)) {
    settings.idle_timeout = std::chrono::seconds(*seconds);
  }
  if (const auto seconds = body.optional_int("max_awake_s", 0, kIdleTimeoutMaxS)) {
    settings.max_awake = std::chrono::seconds(*seconds);
  }
  if (const auto seconds = body.optional_int("run_retention_s", 0, kRunRetentionMaxS)) {
    settings.run_retention = std::chrono::seconds(*seconds);
  }
  settings.file_events = body.optional_bool("file_events");
  if (const auto access = body.optional_string("preview_access")) {
    settings.preview_access = cell::parse_preview_access(*access);
  }
  if (const auto port = body.optional_int("preview_port", 0, 65535)) {
    settings.preview_port = static_cast<std::uint16_t>(*port);
  }
  body.refuse_unknown();
  return settings;
}

// nullopt where it is given as null.
std::optional<WallTime> wake_time(const json::Value& value) {
  const json::Reader body(value, "the body");
  const std::string text = body.optional_string("at").value_or("");
  const bool is_given = value.find("at") != nullptr;
  const std::optional<WallTime> at = parse_rfc3339(text);
  const bool is_never = is_given && text.empty() && body.optional_value("at") == nullptr;
  if (!is_never && !at) {
    json::Reader::refuse("at", "a time like \"2026-11-23T10:00:00Z\", or null");
  }
  if (at && *at > wall_now() + cell::Cell::kWakeAheadMax) {
    json::Reader::refuse("at", "a time within the next 366 days");
  }
  body.refuse_unknown();
  return at;
}

struct Wanted {
  std::string customer_id;
  cell::CellSettings settings;
};

Wanted read_wanted(const json::Value& value) {
  const json::Reader body(value, "the body");
  Wanted wanted;
  wanted.customer_id = body.required_string("customer_id");
  wanted.settings = settings_of(body);
  return wanted;
}

Cursor cursor_of(const cell::Cell& cell) {
  return Cursor::of(cell.spec().created_at, cell.spec().cell_id);
}

}  // namespace

void Api::add_cell_routes() {
  const auto shown = [this](const cell::Cell& cell) {
    return cell_json(cell.view(), preview_domain_);
  };

  add("POST", "/api/v1/cells", [shown](const Call& call) -> asio::awaitable<void> {
    Wanted wanted = co_await call.read_body(kCreateBodyMax, read_wanted);
    std::string owner = call.owner;
    const auto created = co_await call.supervisor.create(
        std::move(owner), std::move(wanted.customer_id), std::move(wanted.settings));
    call.made(created.cell->spec().cell_id);
    co_await call.answer(shown(*created.cell), created.is_new ? 201 : 200);
  });

  add("GET", "/api/v1/cells", [shown](const Call& call) -> asio::awaitable<void> {
    constexpr std::size_t kShownAtOnce = 256;  // then others have their turn
    const auto limit = static_cast<std::size_t>(call.query_int("limit", 1, kListMax).value_or(0));
    const auto after = Cursor::parse(call.exchange.request().query_value("cursor").value_or(""));
    const auto list = call.supervisor.cells_of(call.owner);
    const auto is_before = [](const Cursor& cursor, const auto& cell) {
      return cursor < cursor_of(*cell);
    };
    auto next =
        after ? std::upper_bound(list.begin(), list.end(), *after, is_before) : list.begin();
    json::Array cells;
    for (; next != list.end() && (limit == 0 || cells.size() < limit); ++next) {
      cells.push_back(shown(**next));
      if (cells.size() % kShownAtOnce == 0) co_await asio::post(asio::use_awaitable);
    }
    json::Value answer = json::object({{"cells", std::move(cells)}});
    if (next != list.end()) {
      answer.as_object().set("next_cursor", cursor_of(**std::prev(next)).text());
    }
    co_await call.answer(std::move(answer));
  });

  add("GET", "/api/v1/cells/tiers",
      [](const Call& call) -> asio::awaitable<void> { co_await call.answer(tiers_json()); });

  add("GET", "/api/v1/cells/{id}", [shown](const Call& call) -> asio::awaitable<void> {
    const auto cell = call.cell();
    co_await cell->watch_ports();
    co_await call.answer(shown(*cell));
  });
}

void Api::add_state_routes() {
  const auto shown = [this](const cell::Cell& cell) {
    return cell_json(cell.view(), preview_domain_);
  };

  const auto remove = [](const Call& call) -> asio::awaitable<void> {
    std::string owner = call.owner;
    std::string id = call.params.at("id");
    co_await call.supervisor.remove(std::move(owner), std::move(id));
    co_await call.answer_nothing();
  };
  add("DELETE", "/api/v1/cells/{id}", remove, std::nullopt, Tokens::refused);

  add("POST", "/api/v1/cells/{id}/pause", [shown](const Call& call) -> asio::awaitable<void> {
    const auto cell = call.cell();
    co_await cell->pause();
    co_await call.answer(shown(*cell));
  });

  add("POST", "/api/v1/cells/{id}/resume", [shown](const Call& call) -> asio::awaitable<void> {
    const auto cell = call.cell();
    co_await cell->resume();
    co_await call.answer(shown(*cell));
  });

  add("POST", "/api/v1/cells/{id}/hibernate", [shown](const Call& call) -> asio::awaitable<void> {
    const auto cell = call.cell();
    co_await cell->hibernate("asked");
    co_await call.answer(shown(*cell));
  });

  add(
      "POST", "/api/v1/cells/{id}/keep-alive",
      [shown](const Call& call) -> asio::awaitable<void> {
        const auto cell = call.cell();
        const json::Value value = co_await call.body(kSmallBodyMax);
        const json::Reader body(value, "the body");
        const std::int64_t seconds =
            body.required_int("seconds", 0, cell::Cell::kKeepAliveMax.count());
        body.refuse_unknown();
        co_await cell->keep_alive(std::chrono::seconds(seconds));
        co_await call.answer(shown(*cell));
      },
      std::nullopt, Tokens::refused);

  add(
      "POST", "/api/v1/cells/{id}/wake-at",
      [shown](const Call& call) -> asio::awaitable<void> {
        const auto cell = call.cell();
        const json::Value value = co_await call.body(kSmallBodyMax);
        const std::optional<WallTime> at = wake_time(value);
        co_await cell->wake_at(at);
        co_await call.answer(shown(*cell));
      },
      std::nullopt, Tokens::refused);

  const auto set_permanent = [shown](const Call& call) -> asio::awaitable<void> {
    const auto cell = call.cell();
    const json::Value value = co_await call.body(kSmallBodyMax);
    const json::Reader body(value, "the body");
    cell::CellSettings settings;
    settings.permanent = body.required_bool("permanent");
    body.refuse_unknown();
    co_await cell->apply(std::move(settings));
    co_await call.answer(shown(*cell));
  };
  add("POST", "/api/v1/cells/{id}/permanent", set_permanent, std::nullopt, Tokens::refused);
}

}  // namespace cellar::api
