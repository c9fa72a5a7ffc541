/**
 * Live cells: every code cell of the page gets a Run button and an editor. The Python that
 * runs them is fetched at the first Run, and lives in a worker. `#live-cells` describes all
 * cells, also those that the page doesn't show, and has all words used here.
 */

const here = (file) => new URL(file, import.meta.url).href;
const { cells: described, words } = JSON.parse(
  document.getElementById("live-cells").textContent,
);
const word = (name, value) => words[name].replace("%", value);

/** A new element with attributes and children, which may be text. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Fetches files, so that the worker finds them in the browser's cache. */
async function fetchAll(bytes, signal, progress) {
  const megabytes = (n) => (n / 1e6).toFixed(1);
  const total = Object.values(bytes).reduce((a, b) => a + b);
  let got = 0;
  const fetchOne = async (file) => {
    const response = await fetch(here(file), { signal });
    if (!response.ok) throw new Error(`${file}: ${response.status}`);
    const reader = response.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      got += part.value.length;
      if (!signal.aborted) progress(`${megabytes(got)} / ${megabytes(total)} MB`);
    }
  };
  await Promise.all(Object.keys(bytes).map(fetchOne));
}

/** The Python of the page: begins when the first cell runs, and anew after a stop. */
class Python {
  /**
   * Runs code. `show(kind, text)` gets what comes out; `say(text, number)` how far it is,
   * the number apart, for it changes too often to be read aloud.
   */
  run(code, label, show, say) {
    return new Promise((end) => {
      this.end = end;
      const coming = (this.coming ??= this.begin(say));
      coming.then(
        (worker) => {
          say(words.running);
          worker.onmessage = ({ data: { kind, text } }) => {
            if (kind === "broken") this.stop();
            if (["done", "error", "elsewhere", "broken"].includes(kind)) end({ kind, text });
            else show(kind, text);
          };
          worker.onerror = ({ message }) => worker.onmessage({ data: { kind: "broken", text: message } });
          worker.postMessage({ run: code, label });
        },
        (error) => {
          if (coming === this.coming) this.stop();
          end({ kind: "broken", text: error.message });
        },
      );
    });
  }

  /** Fetches Python and begins it. */
  async begin(say) {
    const { signal } = (this.life = new AbortController());
    const response = await fetch(here("about.json"), { signal });
    if (!response.ok) throw new Error(`about.json: ${response.status}`);
    const { absent, bytes } = await response.json();
    await fetchAll(bytes, signal, (number) => say(words.loading, number));
    say(words.starting);
    const worker = new Worker(here("worker.js"), { type: "module" });
    signal.addEventListener("abort", () => worker.terminate());
    return new Promise((ready, failed) => {
      worker.onerror = (event) => failed(new Error(event.message || "worker.js"));
      worker.onmessage = ({ data: { kind, text } }) =>
        kind === "ready" ? ready(worker) : failed(new Error(text));
      worker.postMessage({ absent });
    });
  }

  /** Ends it, whatever it is doing. All its names are gone. */
  stop() {
    this.life?.abort();
    this.life = this.coming = undefined;
  }
}

/** What a cell has put out in the page, in the form of the stored outputs. */
class Output {
  constructor(stored) {
    this.stored = stored;
    this.box = make("div", { class: "cell_output live-output docutils container" });
  }

  show(kind, text) {
    if (kind === "svg") this.box.append(this.figure(text));
    else if (kind === "html") this.html(text);
    else this.print(kind, text);
  }

  print(kind, text) {
    let last = this.box.lastElementChild;
    if (kind !== "stream" || last?.dataset.kind !== "stream") {
      const pre = make("pre", { tabindex: 0 });
      const form = kind === "error" ? "traceback" : kind;
      last = make("div", { class: `output ${form} notranslate`, "data-kind": kind });
      last.append(make("div", { class: "highlight" }, pre));
      this.box.append(last);
    }
    last.querySelector("pre").append(text);
  }

  /** What the reader's own code makes is shown as it is, as in a notebook. */
  html(text) {
    const box = make("div", { class: "output text_html" });
    box.innerHTML = text;
    this.box.append(box);
  }

  /** A drawing, as wide as the stored picture in its place. */
  figure(svg) {
    const pictures = this.stored?.querySelectorAll("img") ?? [];
    const picture = pictures[this.box.querySelectorAll(".live-figure").length];
    const box = make("div", { class: "live-figure" });
    box.innerHTML = svg; // from gptbook.svg, which escapes all text
    const width = picture?.style.width || `${picture?.getAttribute("width") || 460}px`;
    box.firstElementChild.style.width = /^\d+$/.test(width) ? `${width}px` : width;
    box.firstElementChild.setAttribute("aria-label", picture?.alt || words.figure);
    return box;
  }
}

class Cell {
  constructor(page, described, number) {
    // `time` counts the runs; 0 is not yet.
    Object.assign(this, described, { page, number, time: 0, source: described.code });
    this.needs = new Set(this.needs);
    this.element = document.getElementById(`cell-${this.place}`);
    this.input = this.element?.querySelector(".cell_input");
    if (this.input) this.dress();
    else this.element = null;
  }

  /** The controls below the code. */
  dress() {
    const { element, page } = this;
    this.stored = element.querySelector(".cell_output");
    this.pre = this.input.querySelector("pre");
    this.coloured = [...this.pre.childNodes];
    const button = (name, action) => {
      const made = make("button", { type: "button", "data-live": name }, words[name]);
      made.addEventListener("click", action);
      return (this[name] = made);
    };
    const label = make("span", { class: "live-number" }, word("cell", this.number));
    this.status = make("span", { role: "status", class: "live-status" });
    this.progress = make("span", { class: "live-progress", "aria-hidden": "true" });
    this.bar = make(
      "div",
      { class: "live-bar", role: "group", "aria-label": word("cell", this.number) },
      button("run", () => page.run(this)),
      button("stop", () => page.stop(this, words.stopped)),
      button("edit", () => this.open()),
      button("reset", () => this.restore()),
      button("original", () => this.swap()),
      button("above", () => page.runAbove(this)),
      button("restart", () => page.stop(this, words.restarted)),
      label,
      this.status,
      this.progress,
    );
    (this.input.closest("details") ?? this.input).after(this.bar);
    this.input.addEventListener("click", (event) => {
      const plain = event.pointerType === "mouse" && getSelection().isCollapsed;
      if (plain && !event.target.closest("button")) this.open(event);
    });
    this.rest();
    this.recall();
    this.update();
  }

  /** Which controls there are. Those of a cell that was not used yet are two. */
  update() {
    const { busy, python } = this.page;
    const used = this.used || this.edited;
    const focus = document.activeElement;
    this.run.hidden = busy === this || (this.beyond && !this.edited);
    this.run.disabled = this.above.disabled = this.restart.disabled = Boolean(busy);
    this.stop.hidden = busy !== this;
    this.edit.hidden = Boolean(this.editor);
    this.reset.hidden = !this.edited;
    this.original.hidden = !this.output || !(this.stored || this.output.box.firstChild);
    this.above.hidden = !used;
    this.restart.hidden = !used || !python.coming;
    // The focus doesn't vanish with a button, but goes to the one in its place.
    if (this.bar.contains(focus) && (focus.hidden || focus.disabled)) {
      (busy === this ? this.stop : this.run).focus();
    }
  }

  get edited() {
    return this.code !== this.source;
  }

  /** The names to which it gives a value; of an edited cell the first of each line. */
  get changes() {
    if (!this.edited) return this.gives;
    return [...this.gives, ...Array.from(this.code.matchAll(/^\s*(\w+)/gm), (m) => m[1])];
  }

  /** The status: a text, perhaps a number that counts on, perhaps a link. */
  say(text, number = "", href) {
    if (!this.element) return;
    this.progress.textContent = number;
    if (this.status.textContent === text && !href) return;
    this.status.replaceChildren(href ? make("a", { href }, text) : text);
  }

  /** The status of a cell that did not run, or not yet: what it can't do, if so. */
  rest() {
    if (this.element && this.beyond) this.note(this.beyond);
    else this.say("");
  }

  /** Says that the cell needs a package that no page has, and where it can run. */
  note(name) {
    if (!this.element) return;
    const link = make("a", { href: words.localPage }, words.local);
    this.progress.textContent = "";
    this.status.replaceChildren(word("elsewhere", name), " ", link, ".");
  }

  // The code.

  /** The editor in place of the code; its cursor where the code was clicked. */
  async open(event) {
    try {
      await (this.opening ??= this.makeEditor());
    } catch {
      this.opening = undefined;
      Cell.again = `?${Date.now()}`; // browsers keep a failure with its address
      return this.say(words.noeditor);
    }
    const folded = this.input.closest("details");
    if (folded) folded.open = true;
    this.used = true;
    this.update();
    this.editor.focus();
    this.say(words.keys);
    const place = event && this.editor.posAtCoords({ x: event.clientX, y: event.clientY });
    if (place) this.editor.dispatch({ selection: { anchor: place } });
  }

  async makeEditor() {
    const { edit } = await import(`./editor.js${Cell.again ?? ""}`);
    const box = make("div", { class: "live-editor" });
    const run = () => this.page.run(this);
    const changed = (text) => this.change(text);
    this.editor = edit(box, this.code, word("editor", this.number), run, changed);
    this.input.hidden = true;
    this.input.after(box);
  }

  change(code, rewrite = false) {
    this.code = code;
    this.time = 0;
    if (rewrite && this.editor) {
      const all = { from: 0, to: this.editor.state.doc.length, insert: code };
      this.editor.dispatch({ changes: all });
    } else if (rewrite && this.edited) {
      this.pre.textContent = code;
    } else if (rewrite) {
      this.pre.replaceChildren(...this.coloured);
    }
    this.remember();
    this.update();
  }

  /** The book's code again, and its output. */
  restore() {
    this.change(this.source, true);
    if (this.output) this.showOriginal(true);
  }

  // An edit outlives the page, for it may be the answer to an exercise.

  get key() {
    return `live ${location.pathname} ${this.id}`;
  }

  remember() {
    const kept = JSON.stringify({ source: this.source, code: this.code });
    try {
      if (this.edited) localStorage.setItem(this.key, kept);
      else localStorage.removeItem(this.key);
    } catch {} // the browser keeps nothing
  }

  recall() {
    try {
      const { source, code } = JSON.parse(localStorage.getItem(this.key));
      if (typeof code !== "string" || code === this.source) return;
      this.change(code, true);
      this.say(source === this.source ? words.yours : words.older);
    } catch {} // nothing was kept
  }

  // What comes out.

  /** Runs the cell; `quiet` leaves the stored output, if nothing else comes out. */
  async execute(python, say, quiet) {
    const output = new Output(this.stored);
    const show = (kind, text) => {
      output.show(kind, text);
      if (!quiet) this.replace(output);
    };
    const { code } = this; // it may be edited meanwhile
    const end = await python.run(code, `cell ${this.number}`, show, say);
    const ended = ["done", "elsewhere"].includes(end.kind);
    this.time = ended && this.code === code ? this.page.tick() : 0;
    if (end.kind === "error") output.show("error", end.text);
    if (end.kind === "elsewhere") this.note(end.text);
    else if (end.kind === "error" || (ended && !quiet)) this.replace(output);
    return end;
  }

  /** Shows this output instead of the one before. */
  replace(output) {
    if (this.element && this.output !== output) {
      (this.output?.box ?? this.bar).after(output.box);
      this.output?.box.remove();
      this.output = output;
      this.showOriginal(false);
    }
  }

  swap() {
    this.showOriginal(!this.output.box.hidden);
  }

  showOriginal(original) {
    this.output.box.hidden = original;
    if (this.stored) this.stored.hidden = !original;
    this.original.textContent = original ? words.mine : words.original;
  }
}

class Page {
  constructor() {
    this.python = new Python();
    this.runs = 0;
    this.cells = described.map((cell, i) => new Cell(this, cell, i + 1));
    const first = this.cells.find((cell) => cell.element);
    first?.element.before(make("p", { class: "live-intro" }, words.intro));
  }

  tick() {
    return ++this.runs;
  }

  above(cell) {
    return this.cells.slice(0, cell.number - 1);
  }

  /** Runs a cell so that it finds what it would find after those above, and no more. */
  async run(cell) {
    const needed = new Set(cell.needs);
    for (;;) {
      const end = await this.runAll([...this.plan(cell, needed), cell], cell);
      // An edited cell may need more than before.
      const name = /^NameError: name '(\w+)' is not defined/m.exec(end?.text)?.[1];
      const gives = (other) => other.gives.includes(name) && !needed.has(other.place);
      const giver = end?.kind === "error" && this.above(cell).findLast(gives);
      if (!giver) return;
      for (const place of [giver.place, ...giver.needs]) needed.add(place);
    }
  }

  /** Of the needed cells, and of those that were edited, the ones to run before it. */
  plan(cell, needed) {
    const wanted = (other) => needed.has(other.place) || other.edited;
    const before = this.above(cell).filter(wanted);
    const uses = new Set([cell, ...before].flatMap((other) => other.uses));
    const again = new Set();
    for (const other of before) {
      // What it gave may have been changed since then, or what it was made of.
      const changed = this.cells.some(
        (late) =>
          late.time > other.time &&
          !before.includes(late) &&
          late.changes.some((name) => uses.has(name) && other.gives.includes(name)),
      );
      const remade = before.some(
        (early) =>
          other.needs.has(early.place) && (again.has(early) || early.time > other.time),
      );
      if (!other.time || changed || remade) again.add(other);
    }
    return [...again];
  }

  runAbove(cell) {
    return this.runAll(this.above(cell), cell);
  }

  /** Runs cells in order. Those above `cell` are quiet if their code is the book's. */
  async runAll(cells, cell) {
    if (this.busy) return;
    this.busy = cell;
    cell.used = true;
    this.update();
    let end, failed;
    for (const [i, other] of cells.entries()) {
      const quiet = other !== cell && cells.includes(cell) && !other.edited;
      const running = word(quiet ? "needed" : "above running", other.number);
      const count = cells.length > 1 ? `(${i + 1} / ${cells.length})` : "";
      const say = (text, number = count) =>
        cell.say(other !== cell && text === words.running ? running : text, number);
      end = await other.execute(this.python, say, quiet);
      if (end.kind === "error") failed ??= other; // others may fail for want of it
      if (["stopped", "broken"].includes(end.kind)) break;
    }
    this.busy = undefined;
    this.tell(end, failed, cell);
    this.update();
    return end;
  }

  /** How it ended: of the cells that ran before `cell`, perhaps one `failed`. */
  tell(end, failed, cell) {
    if (end.kind === "stopped") cell.say(words.stopped);
    else if (end.kind === "broken") cell.say(word("broken", end.text));
    else if (failed === cell) cell.say(words.error);
    else if (failed) cell.say(word("failed", failed.number), "", `#cell-${failed.place}`);
    else if (end.kind === "elsewhere") cell.note(end.text);
    else cell.say(words.done);
  }

  /** Python begins anew. */
  stop(cell, message) {
    this.python.stop();
    this.python.end?.({ kind: "stopped" });
    for (const other of this.cells) {
      other.time = 0;
      if (!this.busy) other.rest();
    }
    cell.say(message);
    this.update();
  }

  update() {
    for (const cell of this.cells) if (cell.element) cell.update();
  }
}

window.liveCells = new Page(); // for tests, and for the curious
