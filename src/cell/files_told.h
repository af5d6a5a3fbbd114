#pragma once

#include <cstdint>
#include <optional>
#include <string>

// run/files_told.json of a cell that sleeps: that its journal tells all that ever happened to its
// files. It is removed before the cell wakes up, and not there after a daemon that was killed while
// the cell was awake: then something may have happened that nobody saw.
namespace cellar::cell {

// Of a paused cell it is not synced, so that it holds until the machine starts again only.
enum class FilesToldFor : std::uint8_t { this_boot, good };

std::string encode_files_told(FilesToldFor how_long);
// nullopt for nothing, for what a crash cut off, and for one of an earlier start of the machine.
std::optional<FilesToldFor> decode_files_told(const std::optional<std::string>& text);

}  // namespace cellar::cell
