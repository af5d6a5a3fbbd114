#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/event_stream.h"
#include "base/percent.h"
#include "cli/client.h"
#include "json/value.h"

namespace cellar::cli {

// Of a file that is the body of a request: the daemon's own limit.
inline constexpr std::size_t kFileBytesMax = 256 << 20;
// The header of a request whose answer must be an event stream.
inline constexpr const char* kAcceptEvents = "Accept: text/event-stream";

// "/api/v1/cells/ID" and what follows, which is encoded already: "/exec".
std::string cell_path(std::string_view cell_id, std::string_view rest = {});

// The Error that an answer without success stands for: its text, reason and remedy from the body
// (docs/api/openapi.yaml, `Error`), its code from the status.
[[noreturn]] void throw_answer(const Response& response);

// An error that came when the stream had begun, as if it had been the answer.
Response answer_in(const StreamEvent& event);

// The daemon's REST interface: JSON in, JSON out. Throws Error as Client does, and for every answer
// that is no success; `internal`, reason `no_daemon`, where something else than Cellar answers.
class Api {
 public:
  // `client` must outlive it.
  explicit Api(Client& client) : client_(client) {}

  json::Value get(const std::string& path);
  // Null where the answer is 204.
  json::Value post(const std::string& path);
  json::Value post(const std::string& path, const json::Value& body,
                   const std::vector<std::string>& headers = {});
  json::Value put(const std::string& path, const json::Value& body);
  void remove(const std::string& path);

  Response send(const Request& request);
  // The same, but the answer may be any: throw_answer() throws one that is an error.
  Response ask(const Request& request) { return client_.stream(request, Client::OnBytes()); }
  Response stream(const Request& request, const Client::OnBytes& on_bytes);
  // What its body holds; null where it has none.
  json::Value value_of(const Response& response) const;

 private:
  Client& client_;
};

}  // namespace cellar::cli
