/**
 * The parts of a page in which the book's GPT runs: custom elements that show a reading,
 * in the playground and in the chapters. What a reader types is only ever put into the
 * page as text; the HTML below has none of it.
 */

import { GPT, load, loadTokenizer, probabilities, softmax } from "./gpt.js";
import { Reading } from "./reading.js";

const SVG = "http://www.w3.org/2000/svg";
const MODEL = new URL("tales", import.meta.url).href;
const BARS = 12; // tokens in the list of what may come next
const SHOWN = 48; // tokens in the attention map, the last ones
const LABELLED = 24; // tokens in a narrow map that has room for their names
const WIDE = 600; // pixels in which all tokens of a map have room for their names
const CELL = 16; // side of a cell of the map
const LARGEST = 24; // pixels of that side at most
const MARGIN = 72; // of a map with names
const USUAL = 416; // pixels of a map, unless its names need more
const PAUSE = 150; // milliseconds without a key, after which a text is read
const TYPED = 300; // characters of a text at most
const SENTENCE = "Once upon a time, Mia the kind mouse lost her red ball in the garden.";
// Below chips and lists; the style sheet hides it where no bytes are shown.
const GREY = '<p class="note grey">Grey: bytes, parts of a character.</p>';

/** What the reader of a chapter can do with each part. */
const INVITATIONS = {
  bytes: "Try it: type a text, then choose a token to see its bytes.",
  position: "Try it: choose a token, move it, and watch the prediction.",
  attention: "Try it: choose a token and a head, and see what the token reads from.",
  next: "Try it: move the sliders, and choose the next token or let chance choose.",
  lens: "Try it: choose a token and look at the prediction after each block.",
};

/** A new element with attributes and children, which may be text. */
function make(name, attributes = {}, ...children) {
  const element = name.startsWith("svg:")
    ? document.createElementNS(SVG, name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function on(event, element, act) {
  element.addEventListener(event, act);
  return element;
}

/** New items for a list; what had the focus has it still, or the item `to`. */
function renew(list, items, to) {
  const focus = document.activeElement;
  const old = [...list.children].findIndex((item) => item.contains(focus));
  list.replaceChildren(...items);
  if (old >= 0) items[to ?? old]?.firstChild.focus();
}

/** Only what is exactly 0 or 1 says so. */
function percent(p) {
  if (p === 0 || p === 1) return `${100 * p}%`;
  if (p < 0.0005) return "<0.1%";
  if (p >= 0.9995) return ">99.9%";
  return `${(100 * p).toFixed(p > 0.0995 && p < 0.995 ? 0 : 1)}%`;
}

/** The places of the n largest numbers. */
const largest = (p, n) =>
  Array.from(p.keys()).sort((a, b) => p[b] - p[a]).slice(0, n);

const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join(" ");

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The character that some bytes begin with, or "" if they begin with a part of one. */
function firstCharacter(bytes) {
  for (let n = 1; n <= Math.min(4, bytes.length); n++) {
    try {
      return UTF8.decode(bytes.subarray(0, n));
    } catch {
      // It has more bytes, or is none.
    }
  }
  return "";
}

/** The last characters of some bytes, for the page; parts of a character as bytes. */
function spell(bytes, most = Infinity) {
  let text = "";
  for (let i = 0; i < bytes.length; ) {
    const character = firstCharacter(bytes.subarray(i));
    // As in Python, a surrogate that has no partner stands for a byte.
    text += character || String.fromCharCode(0xdc00 + bytes[i]);
    i += new TextEncoder().encode(character).length || 1;
  }
  const parts = [...text].slice(-most).join("").split(/([\udc80-\udcff]+)/u);
  return parts.map((part, k) => {
    if (k % 2 === 0) return part.replace(/\n/g, "⏎");
    const half = Array.from(part, (character) => character.charCodeAt(0) & 0xff);
    return make("span", { class: "bytes", title: "part of a character" }, hex(half));
  });
}

/** The elements that have a name become properties of an object. */
export function collect(root, object) {
  for (const element of root.querySelectorAll("[data-part]")) {
    object[element.dataset.part] = element;
  }
}

export class Part extends HTMLElement {
  /** Shows a reading whenever it changes. */
  show(reading) {
    this.reading = reading;
    this.innerHTML = this.constructor.html;
    collect(this, this);
    this.listen?.();
    reading.addEventListener("change", () => this.draw());
  }

  /** A token as it is shown. */
  shown(id) {
    return spell(this.reading.tokenizer.tokens[id]);
  }
}

/** The tokens as chips with their ids, and arcs from one of them to what it reads. */
class Tokens extends Part {
  static html = `
    <div class="tokens-box">
      <ol class="tokens" data-part="tokens" aria-label="The tokens, with their ids"></ol>
      <svg class="arcs" data-part="arcs" aria-hidden="true"></svg>
    </div>
    ${GREY}
    <p class="status" data-part="status" role="status"></p>`;

  listen() {
    this.tokens.addEventListener("keydown", (event) => this.move(event));
    this.tokens.addEventListener("pointerleave", () => {
      this.reading.point(this.reading.selected);
    });
    this.reading.addEventListener("look", ({ detail }) => {
      this.looks = detail;
      this.drawArcs();
    });
    new ResizeObserver(() => this.drawArcs()).observe(this.tokens);
  }

  /** The arrow keys go from token to token. */
  move(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const to = this.reading.selected + by;
    if (by && !event.altKey && !event.metaKey && to in this.reading.steps) {
      event.preventDefault();
      this.reading.select(to);
    }
  }

  draw() {
    const { steps, given, selected, notice, ids, tokenizer } = this.reading;
    const chips = steps.map(({ id, p, inside }, i) => {
      const attributes = {
        type: "button",
        class: i < given ? "given" : "written",
        title: p === undefined ? id : `${id}, ${percent(p)}`,
        "aria-pressed": i === selected,
        tabindex: i === selected ? 0 : -1,
      };
      const button = make("button", attributes, ...this.shown(id));
      on("click", button, () => this.reading.select(i));
      on("pointermove", button, () => this.reading.point(i));
      const small = make("small", {}, String(id));
      return make("li", inside ? { class: "inside" } : {}, button, small);
    });
    renew(this.tokens, chips, selected);
    this.status.textContent =
      notice === "long" ? "The text is longer than the model can read, and was cut." : "";
    if (notice === "written") {
      const bytes = ids.flatMap((id) => [...tokenizer.tokens[id]]);
      this.status.append(...spell(Uint8Array.from(bytes), 200));
    }
  }

  /** Arcs over the tokens, to those with the largest weights. */
  drawArcs() {
    if (!this.looks) return;
    const { i, weights } = this.looks;
    const box = this.tokens.getBoundingClientRect();
    const middle = (j) => {
      const chip = this.tokens.children[j]?.getBoundingClientRect();
      return chip && [chip.left - box.left + chip.width / 2, chip.top - box.top];
    };
    const [x, y] = middle(i) ?? [0, 0];
    const far = largest(weights, 8).filter((j) => weights[j] > 0.03 && j !== i);
    const arcs = far.map((j) => {
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
}

/** How long the text is, and the characters and bytes of the chosen token. */
class Bytes extends Part {
  static html = `
    <p class="counts" role="status">
      <span>Characters <b data-part="characterCount"></b></span>
      <span>Bytes <b data-part="byteCount"></b></span>
      <span>Pieces <b data-part="pieceCount"></b></span>
      <span>Tokens <b data-part="tokenCount"></b></span></p>
    <div data-part="detail" data-says>
      <p><b class="reader" data-part="chosen"></b> is the token <b data-part="number"></b>.
        Its bytes in the characters of the text:</p>
      <ol class="characters" data-part="spelled"></ol>
    </div>`;

  draw() {
    const { steps, selected, ids, tokenizer } = this.reading;
    const lengths = ids.map((id) => tokenizer.tokens[id].length);
    const before = (n) => lengths.slice(0, n).reduce((sum, length) => sum + length, 0);
    const characters = [...this.reading.text()];
    this.characterCount.textContent = characters.length;
    this.byteCount.textContent = before(steps.length);
    this.pieceCount.textContent = steps.filter((step) => !step.inside).length;
    this.tokenCount.textContent = steps.length;
    this.detail.hidden = !steps.length;
    if (!steps.length) return;
    this.chosen.replaceChildren(...this.shown(ids[selected]));
    this.number.textContent = ids[selected];
    const [start, end] = [before(selected), before(selected + 1)];
    const items = [];
    let place = 0; // of the character's first byte in the text
    for (const character of characters) {
      const bytes = [...new TextEncoder().encode(character)];
      const own = bytes.map((_, k) => place + k >= start && place + k < end);
      place += bytes.length;
      if (!own.includes(true)) continue;
      const codes = bytes.map((byte, k) => make(own[k] ? "b" : "s", {}, hex([byte])));
      const number = character.codePointAt(0).toString(16).toUpperCase();
      const visible = { " ": "␣", "\n": "⏎" }[character] ?? character;
      const sign = make("span", { class: "sign" }, visible);
      const unicode = make("small", {}, `U+${number.padStart(4, "0")}`);
      items.push(make("li", {}, sign, unicode, make("span", {}, ...codes)));
    }
    this.spelled.replaceChildren(...items);
  }
}

/** The spans of a bar: the token, its probability as a length and as a number. */
function bar(token, p) {
  const length = make("span", { class: "bar", style: `inline-size: ${100 * p}%` });
  return [
    make("span", { class: "token" }, ...token),
    make("span", { class: "track", "aria-hidden": "true" }, length),
    make("span", { class: "number" }, percent(p)),
  ];
}

/** What may come next, as bars to choose from, and the sliders that shape them. */
class Next extends Part {
  static needsModel = true;
  static predicts = true;
  static html = `
    <div class="sliders">
      <label>Temperature <input type="range" data-part="temperature" min="0" max="2"
        step="0.05" value="1"> <output data-part="temperatureShown"></output></label>
      <label>Top-k <input type="range" data-part="topK" min="1" max="50" step="1"
        value="50"> <output data-part="topKShown"></output></label>
      <label>Top-p <input type="range" data-part="topP" min="0.05" max="1" step="0.05"
        value="1"> <output data-part="topPShown"></output></label>
    </div>
    <ol class="next" data-part="next" aria-label="The likeliest next tokens"></ol>
    ${GREY}`;

  listen() {
    for (const control of [this.temperature, this.topK, this.topP]) {
      control.addEventListener("input", () => this.draw());
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

  draw() {
    const settings = (this.reading.settings = this.settings());
    this.temperatureShown.textContent = settings.temperature.toFixed(2);
    this.topKShown.textContent = settings.topK ?? "off";
    this.topPShown.textContent = settings.topP?.toFixed(2) ?? "off";
    const { logits } = this.reading.steps.at(-1);
    const [p, plain] = [probabilities(logits, settings), softmax(logits)];
    const order = Array.from(p.keys());
    order.sort((a, b) => p[b] - p[a] || plain[b] - plain[a]);
    const bars = order.slice(0, BARS).map((id) => {
      const button = make("button", { type: "button" }, ...bar(this.shown(id), p[id]));
      button.disabled = this.reading.finished();
      return make("li", {}, on("click", button, () => this.reading.write(id)));
    });
    renew(this.next, bars);
  }
}

/** Lets the model write. */
class Writer extends Part {
  static needsModel = true;
  static html = `
    <p class="buttons">
      <button type="button" data-part="step">One token</button>
      <button type="button" data-part="run">Write on</button>
      <button type="button" data-part="stop">Stop</button>
      <button type="button" data-part="undo">Take back</button>
    </p>`;

  listen() {
    on("click", this.step, () => this.reading.draw(1));
    on("click", this.run, () => this.reading.draw(Infinity));
    on("click", this.stop, () => (this.reading.running = false));
    on("click", this.undo, () => this.reading.cut(this.reading.steps.length - 1));
  }

  draw() {
    const { running, steps } = this.reading;
    this.step.disabled = this.run.disabled = running || this.reading.finished();
    this.stop.disabled = !running;
    this.undo.disabled = steps.length < 2;
  }
}

/** The map of one head, a row for each token, and one of the rows in words. */
class Attention extends Part {
  static needsModel = true;
  static html = `
    <p class="choices">
      <label>Block <select data-part="layer"></select></label>
      <label>Head <select data-part="head"></select></label>
    </p>
    <div class="attention" data-part="room">
      <svg class="map" data-part="map" role="img" aria-label="Attention map: a row for each
        token that reads, a column for each token that is read. The list beside it has the
        largest weights of the chosen row."></svg>
      <div data-says>
        <p><b class="reader" data-part="reader"></b> reads from:</p>
        <ol data-part="reads"></ol>
      </div>
    </div>
    <p class="note">Each row is a token that reads, each column a token that is read. Choose
      a token above, or a row of the map. <span data-part="newest">The newest ${SHOWN}
      tokens are shown.</span></p>`;

  listen() {
    const { n_layer, n_head } = this.reading.model.config;
    for (const [menu, n] of [[this.layer, n_layer], [this.head, n_head]]) {
      menu.append(...Array.from({ length: n }, (_, i) => make("option", {}, String(i))));
      on("change", menu, () => this.draw());
    }
    on("pointerleave", this.map, () => this.reading.point(this.reading.selected));
    this.reading.addEventListener("point", ({ detail }) => this.drawRow(detail));
    const resized = () => this.labelled !== this.roomForNames() && this.draw();
    new ResizeObserver(resized).observe(this.room);
  }

  /** Of how many tokens the names have room. */
  roomForNames() {
    return this.room.clientWidth < WIDE ? LABELLED : SHOWN;
  }

  weights(i) {
    return this.reading.steps[i].seen.weights[this.layer.value][this.head.value];
  }

  /** Takes the head in which the chosen token reads most from token j. */
  find(j) {
    const { weights } = this.reading.steps[this.reading.selected].seen;
    const all = weights.flatMap((heads, n) => heads.map((p, head) => [p[j], n, head]));
    [, this.layer.value, this.head.value] = all.sort((a, b) => b[0] - a[0])[0];
    this.draw();
  }

  draw() {
    const { steps, selected } = this.reading;
    const first = Math.max(0, steps.length - SHOWN);
    const n = steps.length - first;
    const square = (row, column, width, attributes) =>
      make("svg:rect", {
        x: CELL * (column - first), y: CELL * (row - first),
        width: CELL * width, height: CELL, ...attributes,
      });
    const cells = [];
    for (let i = first; i < steps.length; i++) {
      this.weights(i).slice(first).forEach((weight, k) => {
        // The root, for in a long text the weights are small.
        const opacity = Math.sqrt(weight).toFixed(3);
        const cell = square(i, first + k, 1, { "fill-opacity": opacity });
        on("pointermove", cell, () => this.reading.point(i));
        cells.push(on("click", cell, () => this.reading.select(i)));
      });
    }
    if (selected >= first) cells.push(square(selected, first, n, { class: "chosen" }));
    this.labelled = this.roomForNames();
    const margin = n > this.labelled ? 0 : MARGIN;
    const side = CELL * n + margin + 1; // with half the frame of the chosen row
    this.map.setAttribute("viewBox", `${-margin} ${-margin} ${side} ${side}`);
    const most = Math.min(LARGEST * n + margin, Math.max(USUAL, side));
    this.map.style.maxInlineSize = `${most}px`;
    this.map.replaceChildren(...cells, ...(margin ? this.labels(first) : []));
    this.newest.hidden = first === 0;
    this.drawRow(selected);
  }

  /** The tokens beside the rows and, turned, above the columns. */
  labels(first) {
    return this.reading.ids.slice(first).flatMap((id, i) => {
      const place = CELL * (i + 0.75);
      const above = { transform: `translate(${place} -4) rotate(-90)` };
      const beside = { x: -4, y: place, "text-anchor": "end" };
      const name = make("span", {}, ...this.shown(id)).textContent.trim();
      return [above, beside].map((attributes) => make("svg:text", attributes, name));
    });
  }

  drawRow(i) {
    const weights = this.weights(i);
    const { ids } = this.reading;
    const items = largest(weights, 5).map((j) => {
      const token = make("b", {}, ...this.shown(ids[j]));
      const again = ids.indexOf(ids[j]) !== ids.lastIndexOf(ids[j]);
      const place = again ? ` (place ${j})` : "";
      return make("li", {}, token, ` ${percent(weights[j])}${place}`);
    });
    this.reads.replaceChildren(...items);
    this.reader.replaceChildren(...this.shown(ids[i]));
    this.reading.look(i, weights);
  }
}

/** What the stream of the chosen token would say if the model ended at each level. */
class Lens extends Part {
  static needsModel = true;
  static predicts = true;
  static html = `
    <p data-says>What would come after <b class="reader" data-part="chosen"></b> if the
      model ended after so many blocks:</p>
    <div class="scroll" tabindex="0" role="region" aria-label="Table of the lens">
      <table>
        <thead><tr><th scope="col">Blocks</th></tr></thead>
        <tbody data-part="lens"></tbody>
      </table>
    </div>
    ${GREY}`;

  draw() {
    const { steps, selected, model } = this.reading;
    const { id, seen } = steps[selected];
    const rows = seen.stream.map((x, level) => {
      const p = softmax(model.logits(x));
      const cells = largest(p, 4).map((next) =>
        make("td", {}, make("b", {}, ...this.shown(next)), ` ${percent(p[next])}`),
      );
      const last = level === model.config.n_layer;
      const name = last ? `${level} (the model)` : String(level);
      return make("tr", {}, make("th", { scope: "row" }, name), ...cells);
    });
    this.chosen.replaceChildren(...this.shown(id));
    this.lens.replaceChildren(...rows);
  }
}

/** The entropy of the prediction before each token as bars; dashed, the floor. */
class Entropy extends Part {
  static needsModel = true;
  static html = `
    <svg class="entropy" data-part="entropy" preserveAspectRatio="none" role="img"
      aria-label="The entropy before each token as bars; the means of what was written
      stand below."></svg>
    <p>Of the tokens that it wrote: mean entropy <b data-part="meanEntropy"></b>, mean of
      −ln <i>p</i> <b data-part="meanLoss"></b>.</p>`;

  draw() {
    const { steps, given } = this.reading;
    const known = steps.filter((step) => step.p !== undefined);
    const floor = Number(this.dataset.floor);
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
    const written = steps.slice(given).filter((step) => step.p !== undefined);
    const mean = (values) =>
      values.length
        ? (values.reduce((a, b) => a + b) / values.length).toFixed(3)
        : "–";
    this.meanEntropy.textContent = mean(written.map((step) => step.entropy));
    this.meanLoss.textContent = mean(written.map((step) => -Math.log(step.p)));
  }
}

/** A token that can be moved: its two rows, and what follows with and without places. */
class Position extends Part {
  static needsModel = true;
  static predicts = true;
  static html = `
    <p class="buttons">
      <button type="button" data-part="earlier">← Move it earlier</button>
      <button type="button" data-part="later">Move it later →</button>
    </p>
    <p data-says><b class="reader" data-part="chosen"></b> at place
      <b data-part="number"></b>:</p>
    <div class="rows">
      <code>wte</code> <svg data-part="token" preserveAspectRatio="none" role="img"
        aria-label="The 128 numbers of its row in the token table"></svg>
      <code>wpe</code> <svg data-part="place" preserveAspectRatio="none" role="img"
        aria-label="The 128 numbers of the place's row in the position table"></svg>
      sum <svg data-part="sum" preserveAspectRatio="none" role="img"
        aria-label="The sum of the two rows, which is what the first block gets"></svg>
    </div>
    <div class="two">
      <div><p>What may come next:</p>
        <ol class="bars" data-part="placed"></ol></div>
      <div><p>And without <code>wpe</code>:</p>
        <ol class="bars" data-part="blind"></ol></div>
    </div>
    <p class="note">Red is above 0, blue below. Choose another token, or move this one.</p>`;

  listen() {
    const { model, tokenizer } = this.reading;
    const zeros = model.params["wpe.weight"].map(() => 0);
    const blind = new GPT(model.config, { ...model.params, "wpe.weight": zeros });
    this.without = new Reading({ model: blind, tokenizer });
    on("click", this.earlier, () => this.reading.move(-1));
    on("click", this.later, () => this.reading.move(1));
  }

  draw() {
    const { steps, selected, ids, model } = this.reading;
    this.earlier.disabled = selected < 2; // the mark of a story stays where it is
    this.later.disabled = selected < 1 || selected === steps.length - 1;
    this.chosen.replaceChildren(...this.shown(ids[selected]));
    this.number.textContent = selected;
    this.drawStrip(this.token, model.row("wte.weight", ids[selected]));
    this.drawStrip(this.place, model.row("wpe.weight", selected));
    this.drawStrip(this.sum, steps[selected].seen.stream[0]);
    this.without.read(ids);
    this.drawNext(this.placed, this.reading);
    this.drawNext(this.blind, this.without);
  }

  drawNext(list, reading) {
    const p = softmax(reading.steps.at(-1).logits);
    const bars = largest(p, 4).map((id) => bar(this.shown(id), p[id]));
    list.replaceChildren(...bars.map((spans) => make("li", {}, ...spans)));
  }

  /** A row of numbers as colours, those beyond 0.5 as deep as 0.5. */
  drawStrip(strip, row) {
    const cells = Array.from(row, (value, c) =>
      make("svg:rect", {
        x: c, y: 0, width: 1, height: 1, class: value > 0 ? "plus" : "minus",
        "fill-opacity": Math.min(1, 2 * Math.abs(value)).toFixed(2),
      }),
    );
    strip.setAttribute("viewBox", `0 0 ${row.length} 1`);
    strip.replaceChildren(...cells);
  }
}

/**
 * A place of a chapter where its reader can try something: a line of text and the parts
 * that `parts` names. `texts` are what to begin with, separated by bars. `at` has the word
 * that is chosen in each, and `to` another: the head is shown that reads most from there.
 * Until the page is scrolled here, and where no program runs, it holds a sentence that
 * says what would be here.
 */
class Try extends HTMLElement {
  static html = `
    <p class="title" data-part="invitation"></p>
    <p><label>Your text <textarea data-part="text" rows="2" maxlength="${TYPED}"
      spellcheck="false"></textarea></label></p>
    <p class="status" data-part="limit" role="status"></p>
    <p class="note" data-part="world">This model has read only its little stories, in
      English and Chinese. Anything else is strange to it.</p>
    <p data-part="more"><label>Or begin with
      <select data-part="choice"></select></label></p>`;

  connectedCallback() {
    const act = (entries, observer) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      this.load();
    };
    new IntersectionObserver(act, { rootMargin: "400px" }).observe(this);
  }

  async load() {
    const names = this.getAttribute("parts").split(" ");
    const parts = names.map((name) => document.createElement(`gpt-${name}`));
    const needsModel = parts.some((part) => part.constructor.needsModel);
    const tokenizerOnly = async () => ({ tokenizer: await loadTokenizer(MODEL) });
    this.reading = new Reading(await (needsModel ? load(MODEL) : tokenizerOnly()));
    this.mark = needsModel ? "<|story|>" : "";
    this.innerHTML = Try.html;
    this.append(...parts);
    collect(this, this);
    for (const part of parts) part.show(this.reading);
    this.classList.add("playground");
    this.setAttribute("role", "group");
    this.invitation.textContent = names.map((name) => INVITATIONS[name]).find(Boolean);
    this.setAttribute("aria-label", this.invitation.textContent);
    this.world.hidden = !parts.some((part) => part.constructor.predicts);
    for (const said of this.querySelectorAll("[data-says]")) {
      said.setAttribute("aria-live", "polite");
    }
    this.listen();
    this.choose();
  }

  listen() {
    const texts = (this.getAttribute("texts") ?? SENTENCE).split(" | ");
    const options = texts.map((text) => make("option", { value: text }, text));
    this.choice.append(...options); // with a value, for a text alone loses spaces
    this.more.hidden = texts.length < 2;
    on("change", this.choice, () => this.choose());
    let timer;
    on("input", this.text, () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.begin(), PAUSE);
    });
    on("move", this.reading, () => {
      this.text.value = this.reading.text().slice(this.mark.length);
    });
  }

  begin() {
    const full = this.text.value.length >= TYPED;
    this.limit.textContent = full ? `At most ${TYPED} characters.` : "";
    this.reading.begin(this.mark, this.text.value);
  }

  /** Begins with one of the texts. */
  choose() {
    this.text.value = this.choice.value;
    this.begin();
    const [at, to] = ["at", "to"].map((name) => this.placeOf(name));
    if (at >= 0) this.reading.select(at);
    if (at >= to && to >= 0) this.querySelector("gpt-attention").find(to);
  }

  /** The place of the word that the element has for this text, the last one; or -1. */
  placeOf(name) {
    const word = this.getAttribute(name)?.split(" | ")[this.choice.selectedIndex];
    const [id] = this.reading.tokenizer.encode(` ${word}`);
    return word ? this.reading.ids.lastIndexOf(id) : -1;
  }
}

const ELEMENTS = {
  tokens: Tokens, bytes: Bytes, next: Next, writer: Writer, attention: Attention,
  lens: Lens, entropy: Entropy, position: Position, try: Try,
};
for (const [name, element] of Object.entries(ELEMENTS)) {
  customElements.define(`gpt-${name}`, element);
}
