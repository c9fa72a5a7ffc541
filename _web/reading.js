/**
 * A text as tokens that the model reads and writes. The parts of a page show a reading
 * and are told of each change by its event `change`.
 */

import { draw, entropy, probabilities, softmax } from "./gpt.js";

const FRAME = 100; // milliseconds between two looks at a text that is being written

export class Reading extends EventTarget {
  /** Without a model a text has tokens, and nothing is known of them. */
  constructor({ model, tokenizer }) {
    super();
    Object.assign(this, { model, tokenizer, settings: {}, notice: "", running: false });
    this.end = tokenizer.special.get("<|endoftext|>");
    this.longest = model?.config.n_positions ?? Infinity;
    this.cache = model?.newCache();
    // For each token: id, its p, the entropy before it, seen, logits; and whether it
    // goes on with the piece of the token before it.
    this.steps = [];
    this.given = 0; // the number of tokens that the model has not written
    this.selected = -1;
  }

  get ids() {
    return this.steps.map((step) => step.id);
  }

  text() {
    return this.tokenizer.decode(this.ids);
  }

  changed() {
    this.pointed = this.selected;
    this.dispatchEvent(new Event("change"));
  }

  /** Begins with a text between two texts that may hold special tokens. */
  begin(before, text, after = "") {
    const [start, end] = [before, after].map((part) => this.tokenizer.encode(part));
    const pieces = this.tokenizer.encodePieces(text);
    const typed = pieces.flat();
    const room = this.longest - 1 - start.length - end.length;
    this.read([...start, ...typed.slice(0, room), ...end]);
    const inside = pieces.flatMap((piece) => piece.map((_, i) => i > 0));
    this.steps.forEach((step, i) => (step.inside = inside[i - start.length] ?? false));
    this.notice = typed.length > room ? "long" : "";
    this.changed();
  }

  /** Reads these tokens in place of those that were there, the common beginning once. */
  read(ids) {
    const other = ids.findIndex((id, i) => this.steps[i]?.id !== id);
    this.keep(other < 0 ? ids.length : other);
    for (const id of ids.slice(this.steps.length)) this.append(id);
    this.given = ids.length;
    this.selected = ids.length - 1;
  }

  append(id) {
    if (!this.model) return this.steps.push({ id });
    const before = this.steps.at(-1);
    const p = before && softmax(before.logits);
    const seen = {};
    const logits = this.model.read(id, this.cache, seen);
    this.steps.push({ id, p: p?.[id], entropy: p && entropy(p), seen, logits });
  }

  /** Keeps the first n tokens; a text that is being written ends. */
  keep(n) {
    this.running = false;
    this.steps = this.steps.slice(0, n);
    if (!this.model) return;
    const blocks = this.cache.blocks.map(({ key, value }) => ({
      key: key.slice(0, n),
      value: value.slice(0, n),
    }));
    this.cache = { length: this.steps.length, blocks };
  }

  /** Goes back to the first n tokens, the very first at least. */
  cut(n) {
    this.keep(Math.max(n, 1));
    this.given = Math.min(this.given, this.steps.length);
    this.select(this.steps.length - 1);
  }

  select(i) {
    this.selected = i;
    this.changed();
  }

  /** Writes a token that was chosen. */
  write(id) {
    this.append(id);
    this.select(this.steps.length - 1);
  }

  finished() {
    const full = this.steps.length >= this.longest;
    return full || (this.steps.length > 1 && this.steps.at(-1).id === this.end);
  }

  /** Writes tokens that are drawn, as many as `most`. */
  async draw(most) {
    this.running = true;
    const { steps } = this; // to begin or to cut puts others in their place
    let shown = 0;
    for (let n = 0; n < most && this.running && !this.finished(); n++) {
      this.append(draw(probabilities(this.steps.at(-1).logits, this.settings)));
      this.selected = this.steps.length - 1;
      if (performance.now() - shown > FRAME) {
        this.changed();
        await new Promise((go) => setTimeout(go, 0)); // the page stays alive
        if (steps !== this.steps) return;
        shown = performance.now();
      }
    }
    this.running = false;
    this.notice = "written";
    this.changed();
  }

  /** Exchanges the selected token for its neighbour, and reads all again. */
  move(by) {
    const { ids, selected } = this;
    [ids[selected], ids[selected + by]] = [ids[selected + by], ids[selected]];
    this.read(ids);
    this.dispatchEvent(new Event("move"));
    this.select(selected + by);
  }

  /** Points at a token, without choosing it. */
  point(i) {
    if (i === this.pointed) return;
    this.pointed = i;
    this.dispatchEvent(new CustomEvent("point", { detail: i }));
  }

  /** Shows what a token reads from: its weights over those so far. */
  look(i, weights) {
    this.dispatchEvent(new CustomEvent("look", { detail: { i, weights } }));
  }
}
