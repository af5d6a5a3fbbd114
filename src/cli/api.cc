#include "cli/api.h"

#include <algorithm>
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

// A 503 whose body says that another try is in vain is like a 409: the same request may succeed
// only after somebody did something.
ErrorCode code_of(long status, const json::Value& body) {
  const json::Value* retryable = body.find("retryable");
  const bool is_vain = retryable != nullptr && retryable->is_bool() && !retryable->as_bool();
  return status == 503 && is_vain ? ErrorCode::conflict : code_of(status);
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
    {"step_ambiguous", "\"cellar runs get CELL RUN\" lists them; say --from-ordinal N"},
    {"step_needed", "name one of them with --step; \"cellar runs get CELL RUN\" lists them"},
    {"idempotency_key_reused", "give another --key"},
    {"path_exists",
     "\"cellar files mv\" replaces a file with --overwrite; \"cellar files rm\" deletes what is "
     "there"},
    {"not_a_file", "of a folder, \"cellar files ls\" lists it, \"cellar cp\" copies it"},
    {"body_too_large", "\"cellar cp\" brings a file of any size into a cell"},
    {"upgrade_differs",
     "mark what is new with ctx.getVersion, and what is gone with ctx.removed; "
     "\"cellar runs replay CELL RUN\" tries it"},
    {"user", kPausedRemedy},
    {"run_too_long", kPausedRemedy},
    {"no_such_path", "is the daemon as new as this program, and --url its address alone?"},
};

// The segment behind "/cells/" or "/runs/" in a path; empty where there is none, or an odd one.
std::string segment_behind(std::string_view path, std::string_view name) {
  const std::size_t at = path.find(name);
  if (at == path.npos) return "";
  path.remove_prefix(at + name.size());
  const std::string_view segment = path.substr(0, path.find_first_of("/?"));
  return segment.find('%') == segment.npos ? std::string(segment) : "";
}

// To be typed as it is, where it is known which cell and which run are meant.
std::string with_ids(std::string remedy, const Response& response) {
  for (const auto& [word, id] :
       {std::pair(" CELL", &response.cell_id), {" RUN", &response.run_id}}) {
    if (id->empty()) continue;
    for (std::size_t at = 0; (at = remedy.find(word, at)) != remedy.npos; at += id->size() + 1) {
      remedy.replace(at, std::string_view(word).size(), " " + *id);
    }
  }
  return remedy;
}

// What to do about it here: the daemon's remedies speak of requests, not of commands. The code of a
// run's own error means what its agent says.
std::string remedy_of(ErrorCode code, const Response& response, const json::Value& body) {
  const bool is_runs_own = response.status == 500 && !response.run_id.empty();
  const auto told = kRemedies.find(is_runs_own ? "agent_error" : text_of(body, "code"));
  if (told != kRemedies.end()) return with_ids(told->second, response);
  if (code == ErrorCode::unauthenticated) return "give your key with --api-key or CELLAR_API_KEY";
  return text_of(body, "remediation");
}

constexpr json::ParseLimits kAnswerLimits{.depth_max = 512};

bool asks_for_events(const Request& request) {
  return std::ranges::find(request.headers, kAcceptEvents) != request.headers.end();
}

[[noreturn]] void throw_foreign(const Client& client, const Response& response) {
  const std::string& type = response.content_type;
  throw Error(ErrorCode::internal, "no_daemon",
              client.url() + " is no cellard: its answer is " + (type.empty() ? "nothing" : type),
              "--url or CELLAR_URL say where it is");
}

}  // namespace

std::string cell_path(std::string_view cell_id, std::string_view rest) {
  return "/api/v1/cells/" + encode_segment(cell_id) + std::string(rest);
}

void throw_answer(const Response& response) {
  json::Value body;
  try {
    if (!response.body.empty()) body = json::parse(response.body, kAnswerLimits);
  } catch (const Error&) {  // Something else than Cellar answers there; the status says it all.
  }
  std::string text = text_of(body, "error");
  if (text.empty() && !response.moved_to.empty()) {
    throw Error(ErrorCode::invalid_argument, "redirected",
                "the daemon answered with status " + std::to_string(response.status) +
                    ": it is at " + response.moved_to,
                "give that address with --url or CELLAR_URL");
  }
  if (text.empty()) text = "the daemon answered with status " + std::to_string(response.status);
  const ErrorCode code = code_of(response.status, body);
  const std::string reason = text_of(body, "code");
  throw Error(code, reason.empty() ? std::string(to_string(code)) : reason, text,
              remedy_of(code, response, body));
}

Response answer_in(const StreamEvent& event) {
  const json::Value data = json::parse(event.data);
  const json::Value* status = data.find("status");
  Response answer{.status = 500, .content_type = "application/json", .body = event.data};
  if (status != nullptr && status->is_int()) answer.status = static_cast<long>(status->as_int());
  return answer;
}

Response Api::send(const Request& request) { return stream(request, Client::OnBytes()); }

Response Api::stream(const Request& request, const Client::OnBytes& on_bytes) {
  const bool wants_events = asks_for_events(request);
  const auto require_events = [&](const Response& head) {
    const bool is_other = head.is_success() && head.content_type != "text/event-stream";
    if (wants_events && is_other) throw_foreign(client_, head);
  };
  Client::OnBytes on_checked;
  if (on_bytes) {
    on_checked = [&](const Response& head, std::string_view bytes) {
      require_events(head);
      return on_bytes(head, bytes);
    };
  }
  Response response = client_.stream(request, on_checked);
  if (!response.is_success() && !response.is_idle) {
    response.cell_id = segment_behind(request.path, "/cells/");
    if (response.run_id.empty()) response.run_id = segment_behind(request.path, "/runs/");
    throw_answer(response);
  }
  require_events(response);  // of an answer without bytes, too
  return response;
}

json::Value Api::value_of(const Response& response) const {
  if (response.body.empty()) return {};
  try {
    return json::parse(response.body, kAnswerLimits);
  } catch (const Error&) {  // Of something else than Cellar: who that is says more.
    if (response.content_type == "application/json") throw;
  }
  throw_foreign(client_, response);
}

json::Value Api::get(const std::string& path) {
  const Request request{.path = path};
  return value_of(send(request));
}

json::Value Api::post(const std::string& path) {
  const Request request{.method = "POST", .path = path};
  return value_of(send(request));
}

json::Value Api::post(const std::string& path, const json::Value& body,
                      const std::vector<std::string>& headers) {
  Request request{.method = "POST", .path = path, .headers = headers, .body = json::dump(body)};
  request.headers.emplace_back("Content-Type: application/json");
  return value_of(send(request));
}

json::Value Api::put(const std::string& path, const json::Value& body) {
  Request request{.method = "PUT", .path = path, .body = json::dump(body)};
  request.headers.emplace_back("Content-Type: application/json");
  return value_of(send(request));
}

void Api::remove(const std::string& path) {
  const Request request{.method = "DELETE", .path = path};
  send(request);
}

}  // namespace cellar::cli
