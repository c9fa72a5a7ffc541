/**
 * The playground: a GPT under the reader's fingers. The page has all words and controls;
 * this file finds them by their `data-` names and lets them work. What a reader types
 * is only ever put into the page as text.
 */

import { draw, entropy, load, probabilities, softmax } from "./gpt.js";

const SVG = "http://www.w3.org/2000/svg";
const BARS = 12; // tokens in the list of what may come next
const SHOWN = 48; // tokens in the attention map, the last ones
const LONGEST = 10_000; // characters of a text: more than the model can read
const FRAME = 100; // milliseconds between two looks at a text that is being written

/** A new element with attributes and children, which may be text. */
function make(name, attributes = {}, ...children) {
  const element = name.startsWith("svg:")
    ? document.createElementNS(SVG, name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") element.addEventListener("click", value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** New items for a list; what had the focus has it still, or the item `to`. */
function renew(list, items, to) {
  const old = [...list.children].findIndex((item) => item.contains(document.activeElement));
  list.replaceChildren(...items);
  if (old >= 0) items[to ?? old]?.firstChild.focus();
}

const percent = (p) => `${(100 * p).toFixed(p > 0.0995 ? 0 : 1)}%`;

class Playground {
  constructor(root, { model, tokenizer }) {
    Object.assign(this, { root, model, tokenizer, running: false, selected: null });
    this.end = tokenizer.special.get("<|endoftext|>");
    this.empty(); // steps, for each token: id, its p, the entropy before it, seen, logits
    for (const element of root.querySelectorAll("[data-part]")) {
      this[element.dataset.part] = element;
    }
    this.listen();
    if (!this.restore()) this.begin();
  }

  // What happened to the controls.

  listen() {
    this.task.addEventListener("change", () => {
      this.beginning.value = this.task.selectedOptions[0].dataset.text;
      this.begin();
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.begin();
    });
    for (const control of [this.temperature, this.topK, this.topP]) {
      control.addEventListener("input", () => this.drawNext());
      control.addEventListener("change", () => this.remember());
    }
    for (const control of [this.layer, this.head]) {
      control.addEventListener("change", () => {
        this.drawAttention();
        this.remember();
      });
    }
    this.step.addEventListener("click", () => this.write(1));
    this.run.addEventListener("click", () => this.write(Infinity));
    this.stop.addEventListener("click", () => (this.running = false));
    this.undo.addEventListener("click", () => this.cut(this.steps.length - 1));
    this.tokens.addEventListener("keydown", (event) => this.move(event));
    new ResizeObserver(() => this.drawAttention()).observe(this.tokens);
    addEventListener("hashchange", () => this.restore());
  }

  /** The arrow keys go from token to token. */
  move(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const to = this.selected + by;
    if (by && !event.altKey && !event.metaKey && to in this.steps) {
      event.preventDefault();
      this.select(to);
    }
  }

  settings() {
    const [topK, topP] = [Number(this.topK.value), Number(this.topP.value)];
    return {
      temperature: Number(this.temperature.value),
      topK: topK < Number(this.topK.max) ? topK : undefined,
      topP: topP < 1 ? topP : undefined,
    };
  }

  // What the model does.

  /** Starts again with the text in the box, in the form of the chosen task. */
  begin() {
    const { before, after = "" } = this.task.selectedOptions[0].dataset;
    const [, mark, form] = before.match(/^(<.*?>)(.*)$/);
    const [start, end] = [mark, after].map((text) => this.tokenizer.encode(text));
    const text = form + this.beginning.value.trim().slice(0, LONGEST);
    const typed = this.tokenizer.encode(text, false);
    const room = this.model.config.n_positions - 1 - start.length - end.length;
    this.empty();
    for (const id of [...start, ...typed.slice(0, room), ...end]) this.read(id);
    this.given = this.steps.length;
    this.selected = this.steps.length - 1;
    this.draw();
    this.say(typed.length > room ? this.status.dataset.long : "");
  }

  /** No tokens; a text that is being written ends, for it writes into other steps. */
  empty() {
    this.running = false;
    this.steps = [];
    this.cache = this.model.newCache();
  }

  read(id) {
    const before = this.steps.at(-1);
    const p = before && softmax(before.logits);
    const seen = {};
    const logits = this.model.read(id, this.cache, seen);
    this.steps.push({ id, p: p?.[id], entropy: p && entropy(p), seen, logits });
  }

  /** Keeps the first n tokens. */
  cut(n) {
    const kept = this.steps.slice(0, Math.max(n, 1));
    const blocks = this.cache.blocks.map(({ key, value }) => ({
      key: key.slice(0, kept.length),
      value: value.slice(0, kept.length),
    }));
    this.running = false;
    this.steps = kept;
    this.cache = { length: kept.length, blocks };
    this.given = Math.min(this.given, kept.length);
    this.selected = kept.length - 1;
    this.draw();
  }

  append(id) {
    this.read(id);
    this.selected = this.steps.length - 1;
    this.draw();
  }

  finished() {
    const full = this.steps.length >= this.model.config.n_positions;
    return full || (this.steps.length > 1 && this.steps.at(-1).id === this.end);
  }

  async write(most) {
    this.running = true;
    const { steps } = this; // Begin and Take back put others in their place
    let shown = 0;
    for (let n = 0; n < most && this.running && !this.finished(); n++) {
      this.read(draw(probabilities(this.steps.at(-1).logits, this.settings())));
      this.selected = this.steps.length - 1;
      if (performance.now() - shown > FRAME) {
        this.draw();
        await new Promise((go) => setTimeout(go, 0)); // the page stays alive
        if (steps !== this.steps) return;
        shown = performance.now();
      }
    }
    this.running = false;
    this.draw();
    this.say([...this.text()].slice(-200).join(""));
  }

  // What the page shows.

  say(text) {
    this.status.textContent = text;
  }

  text() {
    return this.tokenizer.decode(this.steps.map((step) => step.id));
  }

  /** A token as it is shown. */
  shown(id) {
    return this.tokenizer.decode([id]).replace(/\n/g, "⏎");
  }

  draw() {
    this.drawTokens();
    this.drawNext();
    this.drawAttention();
    this.drawLens();
    this.drawEntropy();
    this.buttons();
    if (!this.running) this.remember();
  }

  buttons() {
    const done = this.finished();
    this.step.disabled = this.run.disabled = done || this.running;
    this.stop.disabled = !this.running;
    this.undo.disabled = this.steps.length < 2;
  }

  select(i) {
    this.selected = i;
    this.drawTokens();
    this.drawAttention();
    this.drawLens();
    if (!this.running) this.remember();
  }

  drawTokens() {
    const chips = this.steps.map(({ id, p }, i) => {
      const chance = p === undefined ? "" : `, ${percent(p)}`;
      const button = make(
        "button",
        {
          type: "button",
          class: i < this.given ? "given" : "written",
          title: `${id}${chance}`,
          "aria-pressed": i === this.selected,
          tabindex: i === this.selected ? 0 : -1,
          onclick: () => this.select(i),
        },
        this.shown(id),
      );
      return make("li", {}, button, make("small", {}, String(id)));
    });
    renew(this.tokens, chips, this.selected);
  }

  drawNext() {
    const settings = this.settings();
    this.temperatureShown.textContent = settings.temperature.toFixed(2);
    this.topKShown.textContent = settings.topK ?? "–";
    this.topPShown.textContent = settings.topP?.toFixed(2) ?? "–";
    const { logits } = this.steps.at(-1);
    const [p, plain] = [probabilities(logits, settings), softmax(logits)];
    const order = Array.from(p.keys()).sort((a, b) => p[b] - p[a] || plain[b] - plain[a]);
    const bars = order.slice(0, BARS).map((id) => {
      const bar = make("span", { class: "bar", style: `inline-size: ${100 * p[id]}%` });
      const button = make(
        "button",
        { type: "button", onclick: () => !this.finished() && this.append(id) },
        make("span", { class: "token" }, this.shown(id)),
        make("span", { class: "track", "aria-hidden": "true" }, bar),
        make("span", { class: "number" }, percent(p[id])),
      );
      button.disabled = this.finished();
      return make("li", {}, button);
    });
    renew(this.next, bars);
  }

  /** The map of one head, a row for each token; and the selected row as arcs and in words. */
  drawAttention() {
    if (!this.steps.length) return;
    const [layer, head] = [Number(this.layer.value), Number(this.head.value)];
    const T = this.steps.length;
    const first = Math.max(0, T - SHOWN);
    const row = (i) => this.steps[i].seen.weights[layer][head];
    const cells = [];
    for (let i = first; i < T; i++) {
      for (let j = first; j <= i; j++) {
        const cell = make("svg:rect", {
          x: j - first, y: i - first, width: 1, height: 1,
          "fill-opacity": row(i)[j].toFixed(3),
        });
        cell.addEventListener("pointerenter", () => this.drawRow(i, row(i)));
        cell.addEventListener("click", () => this.select(i));
        cells.push(cell);
      }
    }
    const n = T - first;
    const frame = make("svg:rect", {
      x: 0, y: this.selected - first, width: n, height: 1, class: "chosen",
    });
    this.map.setAttribute("viewBox", `0 0 ${n} ${n}`);
    this.map.replaceChildren(...cells, ...(this.selected >= first ? [frame] : []));
    this.drawRow(this.selected, row(this.selected));
  }

  drawRow(i, weights) {
    const order = Array.from(weights.keys()).sort((a, b) => weights[b] - weights[a]);
    const items = order.slice(0, 5).map((j) =>
      make("li", {}, make("b", {}, this.shown(this.steps[j].id)), ` ${percent(weights[j])}`),
    );
    this.reads.replaceChildren(...items);
    this.reader.textContent = this.shown(this.steps[i].id);
    // Arcs over the tokens, as far as they stand on the same or an earlier line.
    const box = this.tokens.getBoundingClientRect();
    const middle = (j) => {
      const chip = this.tokens.children[j]?.getBoundingClientRect();
      return chip && [chip.left - box.left + chip.width / 2, chip.top - box.top];
    };
    const [x, y] = middle(i) ?? [0, 0];
    const arcs = order.slice(0, 8).filter((j) => weights[j] > 0.03 && j !== i).map((j) => {
      const [u, v] = middle(j);
      const lift = Math.min(y, v) - 8 - Math.abs(x - u) / 12;
      return make("svg:path", {
        d: `M${x},${y} C${x},${lift} ${u},${lift} ${u},${v}`,
        "stroke-width": (1 + 5 * weights[j]).toFixed(1),
        "stroke-opacity": Math.min(1, 0.25 + weights[j]).toFixed(2),
      });
    });
    this.arcs.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
    this.arcs.replaceChildren(...arcs);
  }

  /** What the stream of the selected token would say if the model ended at each level. */
  drawLens() {
    const { stream } = this.steps[this.selected].seen;
    const rows = stream.map((x, level) => {
      const p = softmax(this.model.logits(x));
      const order = Array.from(p.keys()).sort((a, b) => p[b] - p[a]).slice(0, 4);
      const cells = order.map((id) =>
        make("td", {}, make("b", {}, this.shown(id)), ` ${percent(p[id])}`),
      );
      return make("tr", {}, make("th", { scope: "row" }, String(level)), ...cells);
    });
    this.lens.replaceChildren(...rows);
  }

  /** A bar for each token: the entropy of the prediction before it; dashed, the floor. */
  drawEntropy() {
    const known = this.steps.filter((step) => step.p !== undefined);
    const floor = Number(this.entropy.dataset.floor);
    const top = Math.max(floor, 1, ...known.map((step) => step.entropy));
    const n = Math.max(known.length, 1);
    const bars = known.map((step, i) =>
      make("svg:rect", {
        x: i + 0.1, width: 0.8, y: 100 * (1 - step.entropy / top),
        height: (100 * step.entropy) / top,
      }),
    );
    const y = 100 * (1 - floor / top);
    const line = make("svg:line", { x1: 0, x2: n, y1: y, y2: y });
    this.entropy.setAttribute("viewBox", `0 0 ${n} 100`);
    this.entropy.replaceChildren(...bars, line);
    const written = this.steps.slice(this.given).filter((step) => step.p !== undefined);
    const mean = (f) => written.reduce((sum, step) => sum + f(step), 0) / written.length;
    this.meanEntropy.textContent = written.length ? mean((s) => s.entropy).toFixed(3) : "–";
    this.meanLoss.textContent = written.length ? mean((s) => -Math.log(s.p)).toFixed(3) : "–";
  }

  // A link that leads back to here.

  remember() {
    const { temperature, topK, topP } = this;
    const state = new URLSearchParams({
      ids: this.steps.map((step) => step.id).join("."), given: this.given,
      at: this.selected,
      task: this.task.selectedIndex, text: this.beginning.value,
      t: temperature.value, k: topK.value, p: topP.value,
      layer: this.layer.value, head: this.head.value,
    });
    history.replaceState(null, "", `#${state}`);
  }

  restore() {
    const state = new URLSearchParams(location.hash.slice(1));
    const ids = (state.get("ids") || "none").split(".").map(Number);
    const { vocab_size, n_positions } = this.model.config;
    const good = (id) => Number.isInteger(id) && id >= 0 && id < vocab_size;
    if (!state.has("given") || ids.length > n_positions || !ids.every(good)) return false;
    this.task.selectedIndex = Math.min(Number(state.get("task")) || 0, this.task.length - 1);
    const controls = {
      text: "beginning", t: "temperature", k: "topK", p: "topP", layer: "layer", head: "head",
    };
    for (const [key, name] of Object.entries(controls)) {
      if (state.has(key)) this[name].value = state.get(key);
    }
    for (const menu of [this.task, this.layer, this.head]) {
      if (menu.selectedIndex < 0) menu.selectedIndex = 0;
    }
    this.empty();
    ids.forEach((id) => this.read(id));
    this.given = Math.min(Math.max(Number(state.get("given")) || 1, 1), ids.length);
    const at = Number(state.get("at") ?? ids.length - 1);
    this.selected = at in ids ? at : ids.length - 1;
    this.draw();
    return true;
  }
}

for (const root of document.querySelectorAll("[data-playground]")) {
  load(root.dataset.playground).then(
    (loaded) => {
      root.hidden = false;
      root.playground = new Playground(root, loaded);
    },
    (error) => root.parentElement.querySelector("[data-failed]").append(` ${error.message}`),
  );
}
