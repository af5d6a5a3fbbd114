// What all cells amount to, for metrics.

#include "cell/supervisor.h"

namespace cellar::cell {

Census Supervisor::census() const {
  const Measures& gone = machine_.measures;
  Census census{.egress_up_bytes = gone.gone_egress_up_bytes,
                .egress_down_bytes = gone.gone_egress_down_bytes,
                .egress_refusals = gone.gone_egress_refusals};
  for (const auto& [id, cell] : cells_) {
    ++census.cells[static_cast<std::size_t>(cell->state())];
    if (cell->is_open()) ++census.loaded_count;
    const auto runs = cell->run_counts();
    for (std::size_t at = 0; at < runs.size(); ++at) census.runs[at] += runs[at];
    for (const auto& process : cell->processes()) {
      census.process_count += process->has_ended() ? 0 : 1;
    }
    const NetworkView network = cell->network();
    census.egress_up_bytes += network.usage.bytes_up - network.used_before.bytes_up;
    census.egress_down_bytes += network.usage.bytes_down - network.used_before.bytes_down;
    census.egress_refusals += network.usage.refusals - network.used_before.refusals;
  }
  return census;
}

// A counter must not fall because a cell was deleted.
void Supervisor::count_gone(const NetworkView& network) {
  Measures& measures = machine_.measures;
  measures.gone_egress_up_bytes += network.usage.bytes_up - network.used_before.bytes_up;
  measures.gone_egress_down_bytes += network.usage.bytes_down - network.used_before.bytes_down;
  measures.gone_egress_refusals += network.usage.refusals - network.used_before.refusals;
}

}  // namespace cellar::cell
