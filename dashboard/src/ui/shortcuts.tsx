import { useEffect, useRef } from "preact/hooks";
import { Dialog } from "./parts";

type Actions = Record<string, () => void>;

const FOLLOWS_MS = 1200; // How long the second key of two may take.

function isTyping(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return element !== null && (/^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName) || element.isContentEditable || element.shadowRoot !== null);
}

/** Keys that do something wherever nobody types; "g c" are two, one after the other. */
export function useShortcuts(actions: Actions): void {
  const newest = useRef(actions);
  newest.current = actions;
  useEffect(() => {
    let first = "";
    let at = 0;
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
      const both = first !== "" && event.timeStamp - at < FOLLOWS_MS ? `${first} ${event.key}` : event.key;
      const action = newest.current[both] ?? newest.current[event.key];
      first = event.key;
      at = event.timeStamp;
      if (action === undefined) return;
      event.preventDefault();
      first = "";
      action();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

const KEYS: [string, string][] = [
  ["?", "This list"],
  ["g c", "All cells"],
  ["n", "A new cell, on the page of all cells"],
  ["/", "To the filter or the search of the page"],
  ["v", "Live or committed, in a run and in events"],
  ["1 … 8", "The parts of a cell: overview, files, terminal, …"],
  ["Ctrl S", "Save the file in the editor (⌘S on a Mac)"],
  ["F6", "Out of the terminal, which takes every other key"],
  ["Esc", "Close a dialog"],
];

export function Shortcuts({ onClose }: { onClose(): void }) {
  return (
    <Dialog title="Shortcuts of the keyboard" onClose={onClose}>
      <dl class="keys">
        {KEYS.map(([key, means]) => (
          <div key={key}>
            <dt>{key.split(" ").map((each) => (each === "…" ? " … " : <kbd key={each}>{each}</kbd>))}</dt>
            <dd>{means}</dd>
          </div>
        ))}
      </dl>
      <p class="faint">Built with work of others: <a href={document.querySelector<HTMLLinkElement>("link[rel=license]")?.href} target="_blank" rel="noopener">their licences</a>.</p>
    </Dialog>
  );
}
