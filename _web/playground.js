/**
 * The playground's page: what the model is to do, all parts at once, and a link that
 * leads back to what they show.
 */

import { load } from "./gpt.js";
import { Part, collect } from "./parts.js";
import { Reading } from "./reading.js";

const LONGEST = 10_000; // characters of a text: more than the model can read

class Playground {
  constructor(root, loaded) {
    this.reading = new Reading(loaded);
    collect(root, this); // the page's own: form, task and beginning
    for (const part of root.querySelectorAll("*")) {
      if (part instanceof Part) part.show(this.reading);
    }
    const { temperature, topK, topP } = root.querySelector("gpt-next");
    const { layer, head } = root.querySelector("gpt-attention");
    const { task, beginning } = this;
    this.controls = { text: beginning, t: temperature, k: topK, p: topP, layer, head };
    this.menus = [task, layer, head];
    task.addEventListener("change", () => {
      beginning.value = task.selectedOptions[0].dataset.text;
      this.begin();
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.begin();
    });
    root.addEventListener("change", () => this.remember());
    this.reading.addEventListener("change", () => this.remember());
    addEventListener("hashchange", () => this.restore());
    if (!this.restore()) this.begin();
  }

  /** Starts again with the text in the box, in the form of the chosen task. */
  begin() {
    const { before, after } = this.task.selectedOptions[0].dataset;
    const [, mark, form] = before.match(/^(<.*?>)(.*)$/);
    const text = form + this.beginning.value.trim().slice(0, LONGEST);
    this.reading.begin(mark, text, after);
  }

  // A link that leads back to here.

  remember() {
    const { ids, given, selected, running } = this.reading;
    if (running) return;
    const state = new URLSearchParams({
      ids: ids.join("."), given, at: selected, task: this.task.selectedIndex,
    });
    for (const [key, control] of Object.entries(this.controls)) {
      state.set(key, control.value);
    }
    history.replaceState(null, "", `#${state}`);
  }

  restore() {
    const state = new URLSearchParams(location.hash.slice(1));
    const ids = (state.get("ids") || "none").split(".").map(Number);
    const { vocab_size, n_positions } = this.reading.model.config;
    const good = (id) => Number.isInteger(id) && id >= 0 && id < vocab_size;
    if (!state.has("given") || ids.length > n_positions || !ids.every(good)) return false;
    const task = Number(state.get("task")) || 0;
    this.task.selectedIndex = Math.min(task, this.task.length - 1);
    for (const [key, control] of Object.entries(this.controls)) {
      if (state.has(key)) control.value = state.get(key);
    }
    for (const menu of this.menus) {
      if (menu.selectedIndex < 0) menu.selectedIndex = 0;
    }
    this.reading.read(ids);
    const given = Number(state.get("given")) || 1;
    this.reading.given = Math.min(Math.max(given, 1), ids.length);
    const at = Number(state.get("at") ?? ids.length - 1);
    this.reading.select(at in ids ? at : ids.length - 1);
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
