/**
 * The Python of a page, in a worker, so that the page never stands still. It is told
 * `{ absent }`, the packages that it lacks, and answers `ready`; then it gets cells,
 * `{ run: code, label }`. It answers with `{ kind, text }`, as gptbook.kernel does, or
 * "broken", and is of no more use.
 */

import { loadPyodide } from "./pyodide/pyodide.js";

const SITE_PACKAGES = "/lib/python3.12/site-packages";
const BOOK = "/home/book"; // the project; the notebooks run in its folder `book`
const here = (file) => new URL(file, import.meta.url).href;
const bytes = async (file) => (await fetch(here(file))).arrayBuffer();
const send = (kind, text) => postMessage({ kind, text });

// A server may not know the type of .wasm files, without which none is streamed.
const { instantiateStreaming } = WebAssembly;
WebAssembly.instantiateStreaming = async (source, imports) => {
  const response = await source;
  return response.headers.get("Content-Type") === "application/wasm"
    ? instantiateStreaming(response, imports)
    : WebAssembly.instantiate(await response.arrayBuffer(), imports);
};

async function begin(absent) {
  const [numpy, book] = ["numpy.zip", "book.zip"].map(bytes);
  const python = await loadPyodide({ indexURL: here("pyodide/") });
  python.unpackArchive(await numpy, "zip", { extractDir: SITE_PACKAGES });
  python.unpackArchive(await book, "zip", { extractDir: BOOK });
  python.FS.chdir(`${BOOK}/book`);
  python.pyimport("sys").path.insert(0, BOOK);
  python.pyimport("gptbook.svg").stand_in();
  return python.pyimport("gptbook.kernel").Kernel(send, python.toPy(absent));
}

let kernel;
addEventListener("message", async ({ data }) => {
  try {
    if (data.absent) {
      kernel = await begin(data.absent);
      send("ready", "");
    } else {
      kernel.run(data.run, data.label);
    }
  } catch (error) {
    send("broken", error.message);
  }
});
