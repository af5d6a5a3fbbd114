// The audit log, for admins.

#include "api/api.h"
#include "api/audit_log.h"
#include "base/error.h"
#include "base/text.h"

namespace cellar::api {
namespace {

constexpr std::int64_t kEntriesMax = 1000;
constexpr std::int64_t kEntriesDefault = 100;

asio::awaitable<void> list_audit(const Call& call, AuditLog& log) {
  const auto limit =
      static_cast<std::size_t>(call.query_int("limit", 1, kEntriesMax).value_or(kEntriesDefault));
  const auto cursor =
      static_cast<audit::Seq>(call.query_int("cursor", 0, INT64_MAX - 1).value_or(0));
  const audit::Trail::Page page = co_await log.read(cursor, limit);
  std::string text;
  for (const std::string& line : page.lines) text += (text.empty() ? "" : ",") + line;
  text = "{\"entries\":[" + text + "]";
  if (page.more) text += ",\"next_cursor\":\"" + std::to_string(page.last) + "\"";
  co_await call.answer_text(text + "}");
}

}  // namespace

std::vector<Route> audit_routes(AuditLog& log) {
  return {{"GET", "/api/v1/audit", [&log](const Call& call) { return list_audit(call, log); },
           cell::Scope::admin}};
}

}  // namespace cellar::api
