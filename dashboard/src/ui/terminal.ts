// The terminal, loaded when the first one is opened.
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import type { TerminalSize } from "../api/terminal_link";

const SCROLLBACK_LINES = 5000;

export interface Screen {
  write(bytes: Uint8Array | string): void;
  focus(): void;
  close(): void;
}

export interface ScreenOptions {
  parent: HTMLElement;
  onType(bytes: Uint8Array): void;
  onSize(size: TerminalSize): void;
  onLeave(): void; // F6: the keyboard goes on behind the terminal
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    background: of("terminal"), foreground: of("terminal-text"), cursor: of("terminal-text"), cursorAccent: of("terminal"), selectionBackground: of("terminal-selection"),
    black: "#1d2430", red: "#f0796b", green: "#7fc98b", yellow: "#e3bd6b", blue: "#7fb0f0", magenta: "#d795d9", cyan: "#6fc9cf", white: "#d7dbe2",
    brightBlack: "#8b94a3", brightRed: "#ff9c8f", brightGreen: "#a2e2ab", brightYellow: "#f5d796", brightBlue: "#a6cbff", brightMagenta: "#eab8ec",
    brightCyan: "#9be4e8", brightWhite: "#ffffff",
  };
}

export function openScreen({ parent, onType, onSize, onLeave }: ScreenOptions): Screen {
  const terminal = new Terminal({
    fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono"), fontSize: 13.5, lineHeight: 1.25, cursorBlink: false,
    scrollback: SCROLLBACK_LINES, theme: colours(), screenReaderMode: true, minimumContrastRatio: 4.5,
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(parent);
  const encoder = new TextEncoder();
  terminal.onData((text) => onType(encoder.encode(text)));
  terminal.onBinary((text) => onType(Uint8Array.from(text, (char) => char.charCodeAt(0))));
  terminal.onResize(({ cols, rows }) => onSize({ columns: cols, rows }));
  terminal.attachCustomKeyEventHandler((event) => {
    if (event.key !== "F6") return true;
    if (event.type === "keydown") onLeave();
    event.preventDefault();
    return false;
  });
  const watch = new ResizeObserver(() => parent.clientWidth > 0 && fit.fit());
  watch.observe(parent);
  fit.fit();
  onSize({ columns: terminal.cols, rows: terminal.rows });
  return {
    write: (bytes) => terminal.write(bytes),
    focus: () => terminal.focus(),
    close: () => {
      watch.disconnect();
      terminal.dispose();
    },
  };
}
