#include "cell/network.h"

#include "base/error.h"
#include "base/log.h"
#include "json/json.h"
#include "json/reader.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

constexpr std::int64_t kUsageVersion = 1;

std::string encode_usage(const net::Usage& usage) {
  return json::dump(json::object({{"version", kUsageVersion},
                                  {"bytes_up", usage.bytes_up},
                                  {"bytes_down", usage.bytes_down},
                                  {"connections", usage.connections},
                                  {"refusals", usage.refusals},
                                  {"failures", usage.failures},
                                  {"questions", usage.questions}})) +
         "\n";
}

net::Usage decode_usage(const std::string& text) {
  const json::Value value = json::parse(text);
  const json::Reader reader(value, "the file");
  reader.required_int("version", kUsageVersion, kUsageVersion);
  const auto count = [&](std::string_view key) {
    return static_cast<std::uint64_t>(reader.required_int(key, 0, INT64_MAX));
  };
  return {.bytes_up = count("bytes_up"),
          .bytes_down = count("bytes_down"),
          .connections = count("connections"),
          .refusals = count("refusals"),
          .failures = count("failures"),
          .questions = count("questions")};
}

// Under which it is shown what refused something.
std::string key_of_rule(net::Why why) {
  switch (why) {
    case net::Why::secret_elsewhere:
    case net::Why::secret_in_clear:
    case net::Why::secret_misplaced:
      return "secret";
    case net::Why::bad_certificate:
    case net::Why::distrusted:
    case net::Why::tls_failed:
      return "detail";
    default:
      return "rule";
  }
}

}  // namespace

Network::Network(std::string cell_id, std::string file)
    : cell_id_(std::move(cell_id)), file_(std::move(file)) {}

void Network::load() {
  try {
    const auto text = sys::read_file(file_);
    if (!text) return;
    meter_.usage() = saved_ = loaded_ = decode_usage(*text);
  } catch (const Error& error) {
    log::warning("cell {}: what it used of the network is counted anew: {}: {}",
                 log::cell(cell_id_), file_, error.what());
  }
}

void Network::save() noexcept {
  saved_at_ = std::chrono::steady_clock::now();
  const net::Usage usage = meter_.usage();
  if (usage == saved_) return;
  try {
    sys::replace_file(file_, encode_usage(usage), 0600, sys::Durable::no);
    saved_ = usage;
  } catch (const Error& error) {  // Nothing in the cell has to fail for that.
    log::warning("cell {}: what it used of the network is not noted: {}", log::cell(cell_id_),
                 error.what());
  }
}

void Network::note_use() noexcept {
  if (std::chrono::steady_clock::now() - saved_at_ >= kSavePause) save();
}

void Network::tell(std::string_view domain, const net::Refusal& refusal) {
  const std::string rule = refusal.rule.empty() ? "" : " by \"" + refusal.rule + "\"";
  const std::string help = net::remedy(refusal);
  log::info("cell {}: its {} may not reach {}:{}: {}{}{}", log::cell(cell_id_), domain,
            refusal.target, refusal.port, net::to_string(refusal.why), rule,
            help.empty() ? "" : ". " + help);
  refusals_.push_back({wall_now(), std::string(domain), refusal});
  if (refusals_.size() > kRefusalsMax) refusals_.pop_front();
  if (hear_) hear_(refusals_.back());
}

json::Value to_json(const Network::Refused& refused) {
  const net::Refusal& what = refused.what;
  json::Value value = json::object({{"domain", refused.domain},
                                    {"host", what.target},
                                    {"port", what.port},
                                    {"reason", net::to_string(what.why)}});
  if (!what.rule.empty()) {
    value.as_object().set(key_of_rule(what.why),
                          what.why == net::Why::denied ? "deny " + what.rule : what.rule);
  }
  std::string help = net::remedy(what);
  if (!help.empty()) value.as_object().set("remediation", std::move(help));
  return value;
}

}  // namespace cellar::cell
