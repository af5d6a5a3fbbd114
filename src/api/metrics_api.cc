// GET /metrics: what the daemon counts, for Prometheus.

#include "api/api.h"
#include "async/pool.h"
#include "base/error.h"
#include "certificates/certificates.h"
#include "llm/models.h"
#include "sys/machine_memory.h"

namespace cellar::api {
namespace {

// For requests that no route takes, whose path and method anybody could make up.
constexpr const char* kNoRoute = "other";

void write_cells(Exposition& text, const cell::Census& census, const cell::Measures& measures) {
  text.family("cellar_cells", "gauge", "Cells by state.");
  for (std::size_t at = 0; at < census.cells.size(); ++at) {
    text.sample({{"state", std::string(to_string(static_cast<cell::State>(at)))}},
                std::uint64_t{census.cells[at]});
  }
  text.family("cellar_cells_loaded", "gauge", "Cells whose runs are in memory.");
  text.sample({}, std::uint64_t{census.loaded_count});
  text.family("cellar_cells_created_total", "counter", "Cells that were made.");
  text.sample({}, measures.cells_made);
  text.family("cellar_cell_resume_duration_seconds", "histogram",
              "How long cells took to come back, from memory (paused) or disk (hibernated).");
  text.sample({{"from", "memory"}}, measures.resume_from_memory);
  text.sample({{"from", "disk"}}, measures.resume_from_disk);
  text.family("cellar_runs", "gauge", "Runs that are kept, by status.");
  for (std::size_t at = 0; at < census.runs.size(); ++at) {
    text.sample({{"status", std::string(to_string(static_cast<cell::RunStatus>(at)))}},
                std::uint64_t{census.runs[at]});
  }
  text.family("cellar_processes", "gauge", "Processes in the background of cells.");
  text.sample({}, std::uint64_t{census.process_count});
  text.family("cellar_journal_sync_duration_seconds", "histogram",
              "How long a batch of records took to be on the disk, with its wait for a thread.");
  text.sample({}, measures.journal_sync);
  text.family("cellar_search_query_duration_seconds", "histogram",
              "How long a search took, with the wake of its cell.");
  text.sample({}, measures.search);
  text.family("cellar_egress_bytes_total", "counter",
              "Bytes through connections of cells: up from them, down to them.");
  text.sample({{"direction", "up"}}, census.egress_up_bytes);
  text.sample({{"direction", "down"}}, census.egress_down_bytes);
  text.family("cellar_egress_refusals_total", "counter",
              "What cells wanted to reach and their policies refused.");
  text.sample({}, census.egress_refusals);
}

// Providers are few, and named by the operator.
void write_llm(Exposition& text, const llm::Models& models) {
  if (models.empty()) return;
  text.family("cellar_llm_attempts_total", "counter",
              "Requests to providers of models, with a reply or without.");
  for (const auto& [name, measures] : models.measures()) {
    text.sample({{"provider", name}, {"outcome", "reply"}}, measures.replies);
    text.sample({{"provider", name}, {"outcome", "failure"}}, measures.failures);
  }
  text.family("cellar_llm_tokens_total", "counter",
              "Tokens of models: to them (input), from them (output).");
  for (const auto& [name, measures] : models.measures()) {
    text.sample({{"provider", name}, {"direction", "input"}}, measures.input_tokens);
    text.sample({{"provider", name}, {"direction", "output"}}, measures.output_tokens);
  }
  text.family("cellar_llm_reply_duration_seconds", "histogram",
              "How long a reply took, to its last byte.");
  for (const auto& [name, measures] : models.measures()) {
    text.sample({{"provider", name}}, measures.times);
  }
  text.family("cellar_llm_attempts_open", "gauge", "Requests to providers that go on.");
  text.sample({}, models.open_count());
}

void write_machine(Exposition& text, std::chrono::nanoseconds pool_wait) {
  text.family("cellar_build_info", "gauge", "1, with what runs.");
  text.sample({{"version", CELLAR_VERSION}}, std::uint64_t{1});
  text.family("cellar_pool_wait_seconds", "gauge",
              "How long a job of nothing took just now on the threads for blocking work.");
  text.sample({}, std::chrono::duration<double>(pool_wait).count());
  const sys::MachineMemory memory = sys::machine_memory();
  text.family("cellar_machine_memory_total_bytes", "gauge", "Memory of the machine.");
  text.sample({}, memory.total);
  text.family("cellar_machine_memory_available_bytes", "gauge",
              "Memory that new processes can have with no swapping.");
  text.sample({}, memory.available);
  const auto pressure = sys::memory_pressure();
  if (!pressure) return;
  text.family("cellar_machine_memory_pressure_ratio", "gauge",
              "Part of the last ten seconds in which some work stood still for want of memory.");
  text.sample({}, pressure->some / 100);
}

// One series for all domains: they are customers'.
void write_certificates(Exposition& text, const Https& https) {
  text.family("cellar_certificate_end_timestamp_seconds", "gauge",
              "When certificates in use end, since 1970: the daemon's own, the first of domains'.");
  if (https.certificates == nullptr) return;
  const auto seconds = [](WallTime time) {
    return static_cast<std::uint64_t>(to_unix_ms(time) / 1000);
  };
  const auto ends = https.certificates->ends();
  text.sample({{"of", "base"}}, seconds(ends.base));
  if (ends.domains) text.sample({{"of", "domains"}}, seconds(*ends.domains));
}

}  // namespace

void RequestMeasures::count(std::string_view method, const std::string& pattern, int status,
                            std::chrono::nanoseconds took) {
  const bool is_known = !pattern.empty();
  Route& route =
      routes_[{is_known ? pattern : kNoRoute, is_known ? std::string(method) : kNoRoute}];
  ++route.by_status[status];
  if (status != 0) route.times.observe(took);
}

void RequestMeasures::write(Exposition& text) const {
  text.family("cellar_http_requests_total", "counter",
              "Requests of the API by route and status; status 0: the client left before.");
  for (const auto& [name, route] : routes_) {
    for (const auto& [status, count] : route.by_status) {
      text.sample(
          {{"method", name.second}, {"route", name.first}, {"status", std::to_string(status)}},
          count);
    }
  }
  text.family("cellar_http_request_duration_seconds", "histogram",
              "Time until an answer began, by route.");
  for (const auto& [name, route] : routes_) {
    text.sample({{"method", name.second}, {"route", name.first}}, route.times);
  }
  text.family("cellar_streams_open", "gauge", "Answers that are streams and go on.");
  text.sample({}, std::uint64_t{open.stream_count});
  text.family("cellar_terminals_open", "gauge", "WebSockets at processes of cells.");
  text.sample({}, std::uint64_t{open.web_socket_count});
}

asio::awaitable<void> tell_metrics(const Call& call, const RequestMeasures& requests,
                                   const Https& https) {
  const auto began = std::chrono::steady_clock::now();
  auto nothing = [] {};
  co_await async::offload(call.supervisor.pool(), nothing);
  const auto pool_wait = std::chrono::steady_clock::now() - began;
  Exposition text;
  write_machine(text, pool_wait);
  write_cells(text, call.supervisor.census(), call.supervisor.measures());
  write_llm(text, call.supervisor.models());
  write_certificates(text, https);
  requests.write(text);
  text.family("cellar_preview_requests_total", "counter", "Requests of previews of cells.");
  text.sample({}, call.supervisor.measures().preview_requests);
  text.family("cellar_keys", "gauge", "Keys of the API.");
  text.sample({}, std::uint64_t{call.supervisor.keys().size()});
  http::Response response;
  response.content_type = Exposition::kContentType;
  response.body = text.take();
  co_await call.exchange.respond(std::move(response));
}

}  // namespace cellar::api
