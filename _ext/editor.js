/** The editor of a cell: CodeMirror, with what the cells of a book need. */

import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { EditorView, keymap } from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";

/**
 * An editor in the element `parent`. `run()` is called at Shift+Enter, `changed(text)`
 * after each change.
 */
export function edit(parent, text, label, run, changed) {
  const runs = { run: () => (run(), true) };
  return new EditorView({
    parent,
    doc: text,
    extensions: [
      keymap.of([
        { key: "Shift-Enter", ...runs },
        { key: "Mod-Enter", ...runs },
        indentWithTab,
        ...historyKeymap,
        ...defaultKeymap,
      ]),
      history(),
      python(),
      indentUnit.of("    "),
      indentOnInput(),
      bracketMatching(),
      syntaxHighlighting(classHighlighter),
      EditorView.contentAttributes.of({ "aria-label": label, autocorrect: "off", autocapitalize: "off", spellcheck: "false" }),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) changed(update.state.doc.toString());
      }),
    ],
  });
}
