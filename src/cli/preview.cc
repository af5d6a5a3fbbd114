#include "base/error.h"
#include "base/text.h"
#include "cli/commands.h"

namespace cellar::cli {
namespace {

// The address of a port's preview, as that of the default one is (api/preview_address.h).
std::string address_of(std::string url, const std::optional<std::int64_t>& port,
                       const std::string& daemon) {
  const std::size_t scheme_end = url.find("://");
  if (port && scheme_end != url.npos) url.insert(scheme_end + 3, std::to_string(*port) + "--");
  if (port && scheme_end == url.npos) url += std::to_string(*port) + "/";
  return scheme_end == url.npos ? daemon + url : url;
}

void show_url(const json::Value& answer, Output& output) {
  if (output.format() == Format::json) {
    output.json(answer);
  } else {
    output.write(column(answer, "url") + "\n");
  }
}

}  // namespace

std::optional<std::int64_t> parse_seconds(std::string_view text) {
  constexpr std::int64_t kNumberMax = 1'000'000'000;
  if (text.empty()) return std::nullopt;
  std::int64_t unit = 1;
  switch (text.back()) {
    case 's':
      break;
    case 'm':
      unit = 60;
      break;
    case 'h':
      unit = 3600;
      break;
    case 'd':
      unit = 86'400;
      break;
    default:
      unit = 0;
  }
  const auto number = parse_int(unit == 0 ? text : text.substr(0, text.size() - 1));
  if (!number || *number <= 0 || *number > kNumberMax) return std::nullopt;
  return *number * (unit == 0 ? 1 : unit);
}

int run(const Preview& command, Context& context) {
  json::Value cell;
  if (!command.access.empty()) {
    const json::Value body = json::object({{"access", command.access}});
    cell = context.api.post(cell_path(command.cell_id, "/preview"), body);
  } else if (!command.link) {
    cell = context.api.get(cell_path(command.cell_id));
  }
  if (command.link) {
    json::Value body = json::object({});
    if (command.port) body.as_object().set("port", *command.port);
    if (command.expires_in_s) body.as_object().set("expires_in_s", *command.expires_in_s);
    show_url(context.api.post(cell_path(command.cell_id, "/preview-links"), body), context.output);
    return 0;
  }
  const std::string url = address_of(column(cell, "preview_url"), command.port, command.daemon);
  show_url(json::object({{"url", url}}), context.output);
  return 0;
}

}  // namespace cellar::cli
