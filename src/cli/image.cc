#include <fmt/format.h>

#include "base/error.h"
#include "cli/commands.h"
#include "doctor/state_ids.h"
#include "image/make.h"
#include "image/store.h"
#include "sys/file.h"
#include "sys/own_namespace.h"
#include "sys/probe.h"

namespace cellar::cli {
namespace {

constexpr std::size_t kShownDigest = 12;

// The files of a user's images have the ids of cells; the folders that lead to them are the user's.
image::Store open_store(const std::string& state) {
  if (!sys::is_root()) {
    sys::make_dirs(state + "/images");
    doctor::note_state_ids(state, sys::own_ids());
    sys::enter_own_namespace(sys::Numbers::range_only);
  }
  return image::Store(state);
}

json::Value to_json(const std::string& name, const image::Image& image) {
  return json::object({{"name", name},
                       {"digest", image.digest},
                       {"source", image.source},
                       {"size_bytes", static_cast<std::int64_t>(image.size_bytes)},
                       {"created_at", to_iso8601(image.created_at)}});
}

int show_made(const std::string& name, const image::Image& image, Output& output) {
  if (output.format() == Format::json) {
    output.json(to_json(name, image));
  } else {
    output.write(fmt::format("{}  {}  {} MB\n", name, image.digest.substr(0, kShownDigest),
                             image.size_bytes / 1'000'000));
  }
  return 0;
}

}  // namespace

int run(const ImageBuild& command, Context& context) {
  image::Store store = open_store(command.state);
  const image::BuildOptions options{command.suite, command.mirror, command.packages};
  return show_made(command.name, image::build(store, command.name, options), context.output);
}

int run(const ImageImport& command, Context& context) {
  image::Store store = open_store(command.state);
  const image::Image image = image::import(store, command.name, command.path);
  return show_made(command.name, image, context.output);
}

int run(const ImageList& command, Context& context) {
  Output& output = context.output;
  json::Array list;
  std::vector<Row> rows;
  for (const auto& [name, image] : open_store(command.state).list()) {
    list.push_back(to_json(name, image));
    rows.push_back({name, image.digest.substr(0, kShownDigest),
                    fmt::format("{} MB", image.size_bytes / 1'000'000),
                    to_iso8601(image.created_at), image.source});
  }
  if (output.format() == Format::json) {
    output.json(json::object({{"images", std::move(list)}}));
  } else {
    output.write(format_table({"IMAGE", "DIGEST", "SIZE", "MADE", "FROM"}, rows, output.look()));
  }
  return 0;
}

int run(const ImageRemove& command, Context&) {
  if (open_store(command.state).remove(command.name)) return 0;
  throw Error(ErrorCode::not_found, "image_not_found", "no image \"" + command.name + "\"",
              "see `cellar image ls`");
}

}  // namespace cellar::cli
