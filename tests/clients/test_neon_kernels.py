"""The NEON kernels agree with plain C, compiled for 64-bit ARM and run under an emulator."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_neon_kernels_agree_with_plain_c(tmp_path):
    run = subprocess.run([sys.executable, ROOT / "tools/check_neon.py", ROOT, tmp_path],
                         capture_output=True, text=True)
    if run.returncode == 77:
        pytest.skip(run.stdout.strip())
    assert run.returncode == 0, run.stdout + run.stderr
    assert "kernels: neonbf16" in run.stdout
