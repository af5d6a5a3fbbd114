#pragma once

#include <cstdint>

#include "cell/run.h"
#include "journal/frame.h"

// What a record of a run is to those who want to see only what can never be thrown away again
// (docs/guide/events.md). Pure: the fold over the journal's records (run.h), and what of them is on
// disk.
//
// A step counts with its end. What it said (its output and progress, what was streamed and logged
// in it) counts where it was said in the attempt that the step ended with. Where it may still turn
// out either way nobody is shown anything behind it, so that what is shown is in the journal's
// order.
namespace cellar::cell {

enum class Fate : std::uint8_t {
  shown,
  hidden,     // It was thrown away, or tells of an attempt only.
  undecided,  // Its step may still end with it, or begin again.
};

// Stays what it is once it is `shown` or `hidden`, whatever crashes. `durable`: what is on disk.
Fate fate_of(const journal::Record& record, const Run& run, journal::Lsn durable);

}  // namespace cellar::cell
