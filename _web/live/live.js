/**
 * Live cells: every code cell of the page gets a Run button and an editor. The Python that
 * runs them is fetched at the first Run, and lives in a worker. `#live-cells` holds the
 * code of all cells, also of those that the page doesn't show, and all words used here.
 */

const here = (file) => new URL(file, import.meta.url).href;
const { cells: codes, needs, beyond, words } = JSON.parse(
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
async function fetchAll(bytes, signal, say) {
  const megabytes = (n) => (n / 1e6).toFixed(1);
  const total = Object.values(bytes).reduce((a, b) => a + b);
  let got = 0;
  const fetchOne = async (file) => {
    const response = await fetch(here(file), { signal });
    if (!response.ok) throw new Error(`${file}: ${response.status}`);
    const reader = response.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      got += part.value.length;
      if (!signal.aborted) say(word("loading", `${megabytes(got)} / ${megabytes(total)}`));
    }
  };
  await Promise.all(Object.keys(bytes).map(fetchOne));
}

/** The Python of the page: begins when the first cell runs, and anew after a stop. */
class Python {
  /** Runs code. `show(kind, text)` gets what comes out, `say(text)` how far it is. */
  run(code, label, show, say) {
    return new Promise((end) => {
      this.end = end;
      const coming = (this.coming ??= this.begin(say));
      coming.then(
        (worker) => {
          say(words.running);
          worker.onmessage = ({ data: { kind, text } }) => {
            if (["done", "error", "elsewhere"].includes(kind)) end({ kind, text });
            else show(kind, text);
          };
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
    await fetchAll(bytes, signal, say);
    say(words.starting);
    const worker = new Worker(here("worker.js"), { type: "module" });
    signal.addEventListener("abort", () => worker.terminate());
    return new Promise((ready, failed) => {
      worker.onerror = (event) => failed(new Error(event.message));
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
  constructor(page, index, number) {
    Object.assign(this, { page, index, number, ran: false });
    this.source = this.code = codes[index];
    this.element = document.getElementById(`cell-${index}`);
    if (this.element) this.dress();
  }

  /** The controls below the code. */
  dress() {
    const { element, page } = this;
    this.input = element.querySelector(".cell_input");
    this.stored = element.querySelector(":scope > .cell_output");
    this.pre = this.input.querySelector("pre");
    this.coloured = [...this.pre.childNodes];
    const button = (name, action) => {
      const made = make("button", { type: "button", "data-live": name }, words[name]);
      made.addEventListener("click", action);
      return (this[name] = made);
    };
    const label = make("span", { class: "live-number" }, word("cell", this.number));
    this.status = make("span", { role: "status", class: "live-status" });
    this.bar = make(
      "div",
      { class: "live-bar", role: "group", "aria-label": word("cell", this.number) },
      button("run", () => page.run(this)),
      button("stop", () => page.stop(this, words.stopped)),
      button("edit", () => this.open()),
      button("above", () => page.runAbove(this)),
      button("reset", () => this.change(this.source, true)),
      button("original", () => this.swap()),
      button("restart", () => page.stop(this, words.restarted)),
      label,
      this.status,
    );
    (this.input.closest("details") ?? this.input).after(this.bar);
    this.input.addEventListener("click", (event) => {
      const plain = event.pointerType === "mouse" && getSelection().isCollapsed;
      if (plain && !event.target.closest("button")) this.open(event);
    });
    if (beyond[this.index]) this.note(beyond[this.index]);
    this.recall();
    this.update();
  }

  /** Which controls there are. Those of a cell that was not used yet are two. */
  update() {
    const { busy } = this.page;
    const used = this.used || this.edited;
    const focus = document.activeElement;
    this.run.hidden = busy === this;
    this.run.disabled = this.above.disabled = this.restart.disabled = Boolean(busy);
    this.stop.hidden = busy !== this;
    this.edit.hidden = Boolean(this.editor);
    this.reset.hidden = !this.edited;
    this.original.hidden = !this.output;
    this.above.hidden = this.restart.hidden = !used;
    // The focus doesn't vanish with a button, but goes to the one in its place.
    if (focus.hidden && this.bar.contains(focus)) (busy === this ? this.stop : this.run).focus();
  }

  get edited() {
    return this.code !== this.source;
  }

  say(text) {
    if (this.element) this.status.replaceChildren(text);
  }

  /** Says that the cell needs a package that no page has, and where it can run. */
  note(name) {
    const link = make("a", { href: words.localPage }, words.local);
    this.status.replaceChildren(word("elsewhere", name), " ", link, ".");
  }

  // The code.

  /** The editor in place of the code; its cursor where the code was clicked. */
  async open(event) {
    await (this.opening ??= this.makeEditor());
    const folded = this.input.closest("details");
    if (folded) folded.open = true;
    this.used = true;
    this.update();
    this.editor.focus();
    const place = event && this.editor.posAtCoords({ x: event.clientX, y: event.clientY });
    if (place) this.editor.dispatch({ selection: { anchor: place } });
  }

  async makeEditor() {
    const { edit } = await import("./editor.js");
    const box = make("div", { class: "live-editor" });
    const run = () => this.page.run(this);
    const changed = (text) => this.change(text);
    this.editor = edit(box, this.code, word("editor", this.number), run, changed);
    this.input.hidden = true;
    this.input.after(box);
  }

  change(code, rewrite = false) {
    this.code = code;
    this.ran = false;
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

  // An edit outlives the page, for it may be the answer to an exercise.

  get key() {
    return `live ${location.pathname} ${this.index}`;
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
      if (source === this.source) this.change(code, true);
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
    const end = await python.run(this.code, `cell ${this.number}`, show, say);
    this.ran = !["stopped", "broken"].includes(end.kind);
    if (end.kind === "error") output.show("error", end.text);
    if (this.element && end.kind !== "broken") {
      if (end.kind === "elsewhere") this.note(end.text);
      else if (!quiet || end.kind === "error") this.replace(output);
    }
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
    const order = Object.keys(codes).map(Number).sort((a, b) => a - b);
    this.cells = order.map((index, i) => new Cell(this, index, i + 1));
    const first = this.cells.find((cell) => cell.element);
    first?.element.before(make("p", { class: "live-intro" }, words.intro));
  }

  above(cell) {
    return this.cells.slice(0, cell.number - 1);
  }

  /** Runs a cell, and before it those above that it needs and that have not run. */
  async run(cell) {
    const needed = new Set(needs[cell.index]);
    const wanted = (other) => !other.ran && (needed.has(other.index) || other.edited);
    const end = await this.runAll([...this.above(cell).filter(wanted), cell], cell);
    const others = this.above(cell).filter((other) => !other.ran);
    if (/^NameError/m.test(end?.text) && others.length) {
      await this.runAll([...others, cell], cell); // an edited cell may need more
    }
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
    let end, message = words.done;
    for (const [i, other] of cells.entries()) {
      const say = (text) =>
        cell.say(other === cell ? text : `${text} (${i + 1} / ${cells.length})`);
      const quiet = other !== cell && cells.includes(cell) && !other.edited;
      end = await other.execute(this.python, say, quiet);
      const { kind, text } = end;
      if (kind === "stopped") message = words.stopped;
      if (kind === "broken") message = word("broken", text);
      if (kind === "error" && other !== cell) message = words.failed;
      if (kind === "elsewhere" && other === cell) message = null;
      if (["stopped", "broken"].includes(kind)) break;
    }
    this.busy = undefined;
    if (message) cell.say(message);
    this.update();
    return end;
  }

  /** Python begins anew. */
  stop(cell, message) {
    this.python.stop();
    this.python.end?.({ kind: "stopped" });
    for (const other of this.cells) other.ran = false;
    cell.say(message);
  }

  update() {
    for (const cell of this.cells) if (cell.element) cell.update();
  }
}

window.liveCells = new Page(); // for tests, and for the curious
