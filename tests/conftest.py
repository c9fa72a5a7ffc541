"""What tests share; all of them one thread, for two fight over shared cores."""

import importlib.util
import os
import subprocess
import sys

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


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
    spec = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
