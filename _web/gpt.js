/**
 * A GPT in plain JavaScript: the tokenizer, the model and the choice of the next token,
 * as in gptbook/tokenizer.py, numpy_gpt.py and sampling.py. It reads one token at a time
 * and keeps keys and values, so that a token costs the same whether it is read or
 * written.
 */

// The tokenizer: byte-level BPE.

const SPACE = String.raw`\p{White_Space}`;
const PIECE = new RegExp(
  String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^${SPACE}\p{L}\p{N}]+` +
    String.raw`|${SPACE}+(?!\P{White_Space})|${SPACE}+`,
  "gu",
);

/** GPT-2 spells each byte as one visible character; this is the byte of a character. */
function byteOfCharacter() {
  const between = (a, b) => Array.from({ length: b - a }, (_, i) => a + i);
  const visible = [...between(0x21, 0x7f), ...between(0xa1, 0xad), ...between(0xae, 0x100)];
  const hidden = between(0, 256).filter((byte) => !visible.includes(byte));
  return new Map([
    ...visible.map((byte) => [String.fromCharCode(byte), byte]),
    ...hidden.map((byte, i) => [String.fromCharCode(256 + i), byte]),
  ]);
}

export class Tokenizer {
  /** From what a tokenizer.json holds. */
  constructor({ model, added_tokens }) {
    this.special = new Map(added_tokens.map(({ content, id }) => [content, id]));
    this.ids = new Map(Object.entries(model.vocab));
    this.ranks = new Map(
      model.merges.map((pair, rank) => [Array.isArray(pair) ? pair.join(" ") : pair, rank]),
    );
    this.byte = byteOfCharacter();
    this.character = new Map([...this.byte].map(([character, byte]) => [byte, character]));
    this.tokens = []; // id -> its bytes
    for (const [text, id] of this.ids) {
      this.tokens[id] = Uint8Array.from(text, (c) => this.byte.get(c));
    }
    for (const [text, id] of this.special) this.tokens[id] = new TextEncoder().encode(text);
  }

  /** The ids of a text. What a user typed has no special tokens: allowSpecial false. */
  encode(text, allowSpecial = true) {
    const marks = [...this.special.keys()].sort((a, b) => b.length - a.length);
    const escaped = marks.map((m) => m.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const parts = allowSpecial ? text.split(new RegExp(`(${escaped.join("|")})`)) : [text];
    return parts.flatMap((part, place) =>
      place % 2
        ? [this.special.get(part)]
        : this.encodePieces(part).flat(),
    );
  }

  /** The ids of each piece of a text without special tokens. */
  encodePieces(text) {
    return (text.match(PIECE) ?? []).map((piece) => this.encodePiece(piece));
  }

  /** The merges, always the one that was learnt first. */
  encodePiece(piece) {
    let symbols = Array.from(new TextEncoder().encode(piece), (b) => this.character.get(b));
    for (;;) {
      const rank = (i) => this.ranks.get(`${symbols[i]} ${symbols[i + 1]}`) ?? Infinity;
      const best = Math.min(...symbols.slice(1).map((_, i) => rank(i)));
      if (best === Infinity) return symbols.map((symbol) => this.ids.get(symbol));
      const merged = [];
      for (let i = 0; i < symbols.length; i++) {
        if (i + 1 < symbols.length && rank(i) === best) merged.push(symbols[i] + symbols[++i]);
        else merged.push(symbols[i]);
      }
      symbols = merged;
    }
  }

  /** The text of ids. Half a character becomes U+FFFD. */
  decode(ids) {
    const bytes = ids.flatMap((id) => [...this.tokens[id]]);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
  }
}

// The layers. A vector is a Float32Array; a matrix (in, out) too, row after row.

function linear(x, weight, bias) {
  const y = bias.slice();
  for (let i = 0, w = 0; i < x.length; i++) {
    for (let j = 0; j < y.length; j++) y[j] += x[i] * weight[w++];
  }
  return y;
}

function layerNorm(x, gain, bias, epsilon) {
  const mean = x.reduce((sum, v) => sum + v, 0) / x.length;
  const variance = x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length;
  const scale = 1 / Math.sqrt(variance + epsilon);
  return x.map((v, i) => (v - mean) * scale * gain[i] + bias[i]);
}

function gelu(x) {
  const root = Math.sqrt(2 / Math.PI);
  return x.map((v) => 0.5 * v * (1 + Math.tanh(root * (v + 0.044715 * v ** 3))));
}

export function softmax(x) {
  const most = x.reduce((a, b) => Math.max(a, b), -Infinity);
  const exp = Float64Array.from(x, (v) => Math.exp(v - most));
  const sum = exp.reduce((a, b) => a + b, 0);
  return exp.map((v) => v / sum);
}

const add = (x, y) => x.map((v, i) => v + y[i]);

function dot(x, y, start = 0) {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[start + i];
  return sum;
}

export class GPT {
  /** config: as in config.json; params: name -> Float32Array, as in the checkpoint. */
  constructor(config, params) {
    Object.assign(this, { config, params });
    this.epsilon = config.layer_norm_epsilon;
  }

  /** An empty KV cache: for each block the keys and the values of the tokens so far. */
  newCache() {
    const { n_layer } = this.config;
    return { length: 0, blocks: Array.from({ length: n_layer }, () => ({ key: [], value: [] })) };
  }

  /**
   * Reads a token and returns the logits of the next one.
   * seen, an object, receives `weights`, [block][head] -> the attention of this token
   * over all so far, and `stream`, the vector before the first block and after each.
   */
  read(id, cache, seen = {}) {
    const { n_positions, vocab_size } = this.config;
    if (!(Number.isInteger(id) && id >= 0 && id < vocab_size)) {
      throw new RangeError(`token id ${id} is outside the vocabulary of ${vocab_size} tokens`);
    }
    if (cache.length === n_positions) {
      throw new RangeError(`a sequence can't be longer than ${n_positions} tokens`);
    }
    let x = add(this.row("wte.weight", id), this.row("wpe.weight", cache.length));
    Object.assign(seen, { weights: [], stream: [x] });
    cache.blocks.forEach((block, i) => {
      x = add(x, this.attention(`h.${i}.attn`, this.norm(`h.${i}.ln_1`, x), block, seen));
      const hidden = gelu(this.linear(`h.${i}.mlp.c_fc`, this.norm(`h.${i}.ln_2`, x)));
      x = add(x, this.linear(`h.${i}.mlp.c_proj`, hidden));
      seen.stream.push(x);
    });
    cache.length += 1;
    return this.logits(x);
  }

  /** The last norm and the head, which is the token table: also the logit lens. */
  logits(x) {
    const normed = this.norm("ln_f", x);
    const table = this.params["wte.weight"];
    const logits = new Float32Array(this.config.vocab_size);
    return logits.map((_, id) => dot(normed, table, id * x.length));
  }

  attention(name, x, { key, value }, seen) {
    const { n_embd: C, n_head } = this.config;
    const qkv = this.linear(`${name}.c_attn`, x);
    key.push(qkv.subarray(C, 2 * C));
    value.push(qkv.subarray(2 * C));
    const d = C / n_head;
    const heads = new Float32Array(C);
    const weights = [];
    for (let start = 0; start < C; start += d) {
      const query = qkv.subarray(start, start + d);
      const p = softmax(key.map((k) => dot(query, k, start) / Math.sqrt(d)));
      value.forEach((v, j) => {
        for (let i = start; i < start + d; i++) heads[i] += p[j] * v[i];
      });
      weights.push(p);
    }
    seen.weights.push(weights);
    return this.linear(`${name}.c_proj`, heads);
  }

  row(name, i) {
    const C = this.config.n_embd;
    return this.params[name].subarray(i * C, (i + 1) * C);
  }

  norm(name, x) {
    const { [`${name}.weight`]: gain, [`${name}.bias`]: bias } = this.params;
    return layerNorm(x, gain, bias, this.epsilon);
  }

  linear(name, x) {
    return linear(x, this.params[`${name}.weight`], this.params[`${name}.bias`]);
  }
}

/** A half-precision number, from its 16 bits. */
export function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The arrays of a safetensors file in half precision: name -> Float32Array. */
export function readSafetensors(buffer) {
  const size = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size)));
  const value = Float32Array.from({ length: 65536 }, (_, bits) => half(bits));
  const params = {};
  for (const [name, { dtype, data_offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    if (dtype !== "F16") throw new TypeError(`${name} is ${dtype}, expected F16`);
    const [start, end] = data_offsets.map((offset) => 8 + size + offset);
    const bits = new Uint16Array(buffer.slice(start, end));
    params[name] = Float32Array.from(bits, (b) => value[b]);
  }
  return params;
}

async function get(folder, file, as) {
  const response = await fetch(`${folder}/${file}`);
  if (!response.ok) throw new Error(`${file}: ${response.status} ${response.statusText}`);
  return response[as]();
}

/** The tokenizer in a folder of the site, a fiftieth of what the model weighs. */
export async function loadTokenizer(folder) {
  return new Tokenizer(await get(folder, "tokenizer.json", "json"));
}

/** The model and the tokenizer in a folder of the site. */
export async function load(folder) {
  const [tokenizer, config, weights] = await Promise.all([
    loadTokenizer(folder),
    get(folder, "config.json", "json"),
    get(folder, "model.safetensors", "arrayBuffer"),
  ]);
  return { model: new GPT(config, readSafetensors(weights)), tokenizer };
}

// From logits to the next token.

/** Temperature 0 is greedy; topK and topP as in gptbook.sampling, or undefined. */
export function probabilities(logits, { temperature = 1, topK, topP } = {}) {
  const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
  if (temperature === 0) {
    return Float64Array.from(logits, (_, id) => (id === order[0] ? 1 : 0));
  }
  const most = logits[order[0]];
  let p = softmax(Float64Array.from(logits, (v) => (v - most) / temperature));
  const keep = (n) => {
    const kept = new Set(order.slice(0, n));
    p = p.map((v, id) => (kept.has(id) ? v : 0));
    const sum = p.reduce((a, b) => a + b, 0);
    p = p.map((v) => v / sum);
  };
  if (topK) keep(topK);
  if (topP) {
    let n = 0;
    for (let sum = 0; n < order.length && sum < topP; n++) sum += p[order[n]];
    keep(n);
  }
  return p;
}

/** An id drawn from probabilities, by a random number from 0 to 1. */
export function draw(p, random = Math.random()) {
  let id = 0;
  for (let sum = p[0]; sum <= random && id < p.length - 1; sum += p[id]) id++;
  while (p[id] === 0 && id > 0) id--; // rounding at the very end
  return id;
}

export const entropy = (p) => p.reduce((sum, v) => sum - (v > 0 ? v * Math.log(v) : 0), 0);
