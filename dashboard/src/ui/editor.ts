// The editor, loaded when the first file is opened.
import { defaultKeymap, history, historyKeymap, indentLess, indentMore } from "@codemirror/commands";
import { css } from "@codemirror/lang-css";
import { html } from "@codemirror/lang-html";
import { javascript } from "@codemirror/lang-javascript";
import { json } from "@codemirror/lang-json";
import { markdown } from "@codemirror/lang-markdown";
import { python } from "@codemirror/lang-python";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorState, type Extension } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

// The colours are those of the page: style/main.css has them, light and dark.
const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword, tags.controlKeyword], color: "var(--code-keyword)" },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: "var(--code-string)" },
  { tag: [tags.comment, tags.meta], color: "var(--code-comment)", fontStyle: "italic" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--code-number)" },
  { tag: [tags.function(tags.variableName), tags.function(tags.propertyName), tags.tagName], color: "var(--code-name)" },
  { tag: [tags.typeName, tags.className, tags.namespace, tags.attributeName], color: "var(--code-type)" },
  { tag: tags.heading, fontWeight: "bold", color: "var(--code-keyword)" },
  { tag: tags.link, color: "var(--code-string)", textDecoration: "underline" },
]);

const theme = EditorView.theme({
  "&": { height: "100%", fontSize: "13.5px", color: "var(--text)", backgroundColor: "var(--raised)" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6" },
  ".cm-gutters": { backgroundColor: "var(--raised)", color: "var(--faint)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--hover)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--selection)" },
  ".cm-panels": { backgroundColor: "var(--sunken)", color: "var(--text)" },
  ".cm-searchMatch": { backgroundColor: "var(--mark)" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
});

function languageOf(path: string): Extension {
  const extension = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  if (/^[cm]?[jt]sx?$/.test(extension)) return javascript({ typescript: extension.includes("t"), jsx: extension.endsWith("x") });
  if (extension === "py") return python();
  if (extension === "json") return json();
  if (extension === "html" || extension === "htm" || extension === "vue") return html();
  if (extension === "css") return css();
  if (extension === "md") return markdown();
  return [];
}

export interface Editor {
  text(): string;
  close(): void;
}

export interface EditorOptions {
  parent: HTMLElement;
  text: string;
  path: string;
  line?: number;
  onChange(): void;
  onSave(): void;
}

export function openEditor({ parent, text, path, line, onChange, onSave }: EditorOptions): Editor {
  const save = () => {
    onSave();
    return true;
  };
  const separator = text.includes("\r\n") ? "\r\n" : "\n";
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        EditorState.lineSeparator.of(separator), lineNumbers(), highlightActiveLineGutter(), highlightActiveLine(), history(), drawSelection(), indentOnInput(),
        bracketMatching(), highlightSelectionMatches(), search({ top: true }), syntaxHighlighting(colours), theme, languageOf(path),
        EditorView.contentAttributes.of({ "aria-label": `The text of ${path}` }),
        // Tab stays the key to the next control of the page.
        keymap.of([{ key: "Mod-s", run: save, preventDefault: true }, { key: "Mod-]", run: indentMore }, { key: "Mod-[", run: indentLess }, ...defaultKeymap,
          ...historyKeymap, ...searchKeymap]),
        EditorView.updateListener.of((update) => update.docChanged && onChange()),
      ],
    }),
  });
  if (line !== undefined && line <= view.state.doc.lines) {
    const at = view.state.doc.line(line);
    view.dispatch({ selection: { anchor: at.from }, effects: EditorView.scrollIntoView(at.from, { y: "center" }) });
  }
  return { text: () => view.state.sliceDoc(), close: () => view.destroy() };
}
