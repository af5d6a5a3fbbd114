#include <CLI/CLI.hpp>
#include <memory>

#include "base/option_values.h"
#include "cli/command_line_parts.h"

namespace cellar::cli {

std::optional<std::int64_t> expiry_of(const Raw& raw) {
  if (raw.expires.empty()) return std::nullopt;
  const auto seconds = parse_seconds(raw.expires);
  if (seconds) return seconds;
  throw CLI::ValidationError(
      "--expires", "must be a time such as 90s, 15m, 1h or 7d, not \"" + raw.expires + "\"");
}

void add_preview_command(CLI::App& app, Raw& raw, const std::string& url) {
  auto preview = std::make_shared<Preview>();
  CLI::App* sub = app.add_subcommand("preview", "Tell where a cell's preview is, or share it");
  add_cell_id(*sub, preview->cell_id);
  sub->add_option("PORT", preview->port, "Of this port, not of the default one")
      ->check(whole_number(1, 65535));
  auto* link =
      sub->add_flag("--link", preview->link, "A signed link: whoever has it sees the preview");
  sub->add_option("--expires", raw.expires, "How long the link holds: 90s, 15m, 1h (as it is), 7d")
      ->needs(link);
  auto* everybody = sub->add_flag(
      "--public", [preview](auto) { preview->access = "public"; }, "Show it to everybody");
  sub->add_flag(
         "--private", [preview](auto) { preview->access = "private"; },
         "Show it to those with a link or a key")
      ->excludes(everybody);
  sub->callback([&raw, preview, &url] {
    raw.command = [&raw, preview, &url]() -> Command {
      preview->daemon = url;
      preview->expires_in_s = expiry_of(raw);
      return *preview;
    };
  });
}

}  // namespace cellar::cli
