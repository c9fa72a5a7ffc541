"""What tests share; all of them one thread, for two fight over shared cores."""

import functools
import http.server
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
LIVE_PAGES = CONFIG["sphinx"]["config"]["live_pages"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.append(str(ROOT / "_ext"))  # the extensions of the site, for their tests


@pytest.fixture(scope="session")
def bfloat16():
    """Skips where products in bfloat16 end the process, as on some virtual machines.

    Their processors announce instructions that they then refuse.
    """
    try_it = "import torch; x = torch.ones(64, 64, dtype=torch.bfloat16); x @ x"
    if subprocess.run([sys.executable, "-c", try_it]).returncode < 0:
        pytest.skip("bfloat16 products are an illegal instruction on this machine")


@pytest.fixture(scope="module")
def benchmark(request):
    """The program that a test module names in SCRIPT, as a module."""
    script = request.module.SCRIPT
    if str(script.parent) not in sys.path:  # as when it is started
        sys.path.append(str(script.parent))
    spec = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "."]
    strict = ["-n", "-W", "--keep-going", "--path-output", str(folder)]
    build = subprocess.run(command + strict, cwd=ROOT, capture_output=True, text=True)
    assert build.returncode == 0, build.stdout[-3000:] + build.stderr[-3000:]
    return folder / "_build" / "html"


@pytest.fixture(scope="session")
def server(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        message = f"none of {', '.join(BROWSERS)} is installed"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        yield browser
        browser.close()
