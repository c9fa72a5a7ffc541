/**
 * The Python of a page, in a worker, so that the page never stands still. It is told
 * `{ absent }`, the packages that it lacks, and answers `ready`; then it gets cells,
 * `{ run: code, label }`. It answers with `{ kind, text }`, as gptbook.kernel does.
 */

import { loadPyodide } from "./pyodide/pyodide.mjs";

const SITE_PACKAGES = "/lib/python3.12/site-packages";
const BOOK = "/home/book"; // the project; the notebooks run in its folder `book`
const here = (file) => new URL(file, import.meta.url).href;
const bytes = async (file) => (await fetch(here(file))).arrayBuffer();
const send = (kind, text) => postMessage({ kind, text });

async function begin(absent) {
  const [numpy, book] = ["numpy.zip", "book.zip"].map(bytes);
  const python = await loadPyodide({ indexURL: here("pyodide/") });
  python.unpackArchive(await numpy, "zip", { extractDir: SITE_PACKAGES });
  python.unpackArchive(await book, "zip", { extractDir: BOOK });
  python.FS.chdir(`${BOOK}/book`);
  python.runPython(`
import sys
sys.path.insert(0, "${BOOK}")
from gptbook import kernel, svg
svg.stand_in()
`);
  return python.runPython("kernel.Kernel")(send, python.toPy(absent));
}

let kernel;
addEventListener("message", async ({ data }) => {
  if (data.absent) {
    kernel = begin(data.absent);
    kernel.then(
      () => send("ready", ""),
      (error) => send("failed", error.message),
    );
  } else {
    (await kernel).run(data.run, data.label);
  }
});
