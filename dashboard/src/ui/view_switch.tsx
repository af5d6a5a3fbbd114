import type { View } from "../model/route";
import { useShortcuts } from "./shortcuts";

const VIEWS: [View, string, string][] = [
  ["live", "Live", "As it happens. What a step says that is interrupted or tried again is said anew."],
  ["committed", "Committed", "Only what can never be thrown away again: of a step, once its end is on disk, what its last attempt said."],
];

/** Between the two views of events; the address says which one is shown, so it stays with a reload and in a link. */
export function ViewSwitch({ view, addressOf }: { view: View; addressOf(view: View): string }) {
  useShortcuts({ v: () => (location.hash = addressOf(view === "live" ? "committed" : "live")) });
  return (
    <div class="views">
      <nav aria-label="View of the events">
        {VIEWS.map(([name, label]) => <a key={name} href={addressOf(name)} aria-current={name === view ? "true" : undefined}>{label}</a>)}
      </nav>
      <p class="faint" role="status">{VIEWS.find(([name]) => name === view)![2]}</p>
    </div>
  );
}
