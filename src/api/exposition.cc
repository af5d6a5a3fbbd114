#include "api/exposition.h"

#include <fmt/format.h>

namespace cellar::api {
namespace {

std::string escaped_label(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

void Exposition::family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void Exposition::line(std::string_view suffix, const Labels& labels, std::string_view value) {
  std::string inside;
  for (const auto& [name, label] : labels) {
    inside += fmt::format("{}{}=\"{}\"", inside.empty() ? "" : ",", name, escaped_label(label));
  }
  text_ += name_;
  text_ += suffix;
  if (!inside.empty()) text_ += "{" + inside + "}";
  text_ += fmt::format(" {}\n", value);
}

void Exposition::sample(const Labels& labels, std::uint64_t value) {
  line("", labels, std::to_string(value));
}

void Exposition::sample(const Labels& labels, double value) {
  line("", labels, fmt::format("{}", value));
}

void Exposition::sample(const Labels& labels, const Histogram& histogram) {
  std::uint64_t below = 0;
  const auto bucket = [&](const std::string& end) {
    Labels with = labels;
    with.emplace_back("le", end);
    line("_bucket", with, std::to_string(below));
  };
  for (std::size_t at = 0; at < Histogram::kBounds.size(); ++at) {
    below += histogram.count(at);
    bucket(fmt::format("{}", Histogram::kBounds[at]));
  }
  below += histogram.count(Histogram::kBounds.size());
  bucket("+Inf");
  line("_sum", labels, fmt::format("{}", histogram.sum_seconds()));
  line("_count", labels, std::to_string(below));
}

}  // namespace cellar::api
