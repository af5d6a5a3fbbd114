#include "cli/api.h"

#include <map>

#include "base/error.h"
#include "json/json.h"

namespace cellar::cli {
namespace {

ErrorCode code_of(long status) noexcept {
  switch (status) {
    case 401:
    case 403:
      return ErrorCode::unauthenticated;
    case 404:
      return ErrorCode::not_found;
    case 409:
      return ErrorCode::conflict;
    case 413:
      return ErrorCode::too_large;
    case 429:
    case 507:
      return ErrorCode::exhausted;
    case 503:
      return ErrorCode::unavailable;
    case 504:
      return ErrorCode::timed_out;
    default:
      return status >= 400 && status < 500 ? ErrorCode::invalid_argument : ErrorCode::internal;
  }
}

std::string text_of(const json::Value& body, std::string_view key) {
  const json::Value* value = body.find(key);
  return value != nullptr && value->is_string() ? value->as_string() : "";
}

constexpr const char* kPausedRemedy =
    "\"cellar runs get CELL RUN\" says what to do; \"cellar runs resume CELL RUN\" lets it go on";

const std::map<std::string, const char*> kRemedies = {
    {"ambiguous_step", kPausedRemedy},
    {"crash_loop", kPausedRemedy},
    {"replay_mismatch", kPausedRemedy},
    {"cell_not_found", "\"cellar ls\" lists the cells"},
    {"key_not_found", "\"cellar keys ls\" lists the keys"},
    {"key_expired", "have another one made with \"cellar keys create\""},
    {"missing_scope", "use a key with that scope; \"cellar keys create\" makes one"},
    {"agent_missing", "give it one: \"cellar deploy PATH CELL\""},
    {"agent_error", "\"cellar runs get CELL RUN\" says where; \"cellar runs ls CELL\" has its run"},
    {"checkpoint_not_found",
     "\"cellar checkpoints ls CELL\" lists those of a cell, create makes one"},
    {"process_not_found", "it may have ended long ago: \"cellar ps CELL\" lists those of a cell"},
    {"run_not_found", "\"cellar runs ls CELL\" lists the runs of a cell"},
    {"decision_needed",
     "say with --retry, --fail or --value JSON what became of it; \"cellar runs get CELL RUN\" "
     "names it"},
    {"no_decision_needed", "leave --retry, --fail and --value out"},
    {"step_needed", "name one of them with --step; \"cellar runs get CELL RUN\" lists them"},
    {"idempotency_key_reused", "give another --key"},
};

// What to do about it here: the daemon's remedies speak of requests, not of commands.
std::string remedy_of(ErrorCode code, const std::string& reason, const json::Value& body) {
  const auto told = kRemedies.find(reason);
  if (told != kRemedies.end()) return told->second;
  if (code == ErrorCode::unauthenticated) return "give your key with --api-key or CELLAR_API_KEY";
  return text_of(body, "remediation");
}

json::Value parse_answer(const Response& response) {
  if (response.body.empty()) return {};
  const json::ParseLimits limits{.depth_max = 512};
  return json::parse(response.body, limits);
}

}  // namespace

std::string cell_path(std::string_view cell_id, std::string_view rest) {
  return "/api/v1/cells/" + encode_segment(cell_id) + std::string(rest);
}

void throw_answer(const Response& response) {
  json::Value body;
  try {
    body = parse_answer(response);
  } catch (const Error&) {  // Something else than Cellar answers there; the status says it all.
  }
  std::string text = text_of(body, "error");
  if (text.empty()) text = "the daemon answered with status " + std::to_string(response.status);
  const ErrorCode code = code_of(response.status);
  const std::string reason = text_of(body, "code");
  throw Error(code, reason.empty() ? std::string(to_string(code)) : reason, text,
              remedy_of(code, reason, body));
}

Response Api::send(const Request& request) { return stream(request, Client::OnBytes()); }

Response Api::stream(const Request& request, const Client::OnBytes& on_bytes) {
  Response response = client_.stream(request, on_bytes);
  if (!response.is_success() && !response.is_idle) throw_answer(response);
  return response;
}

json::Value Api::get(const std::string& path) {
  const Request request{.path = path};
  return parse_answer(send(request));
}

json::Value Api::post(const std::string& path) {
  const Request request{.method = "POST", .path = path};
  return parse_answer(send(request));
}

json::Value Api::post(const std::string& path, const json::Value& body,
                      const std::vector<std::string>& headers) {
  Request request{.method = "POST", .path = path, .headers = headers, .body = json::dump(body)};
  request.headers.emplace_back("Content-Type: application/json");
  return parse_answer(send(request));
}

json::Value Api::put(const std::string& path, const json::Value& body) {
  Request request{.method = "PUT", .path = path, .body = json::dump(body)};
  request.headers.emplace_back("Content-Type: application/json");
  return parse_answer(send(request));
}

void Api::remove(const std::string& path) {
  const Request request{.method = "DELETE", .path = path};
  send(request);
}

}  // namespace cellar::cli
