"""One story by three versions of huggingface_hub, each in an environment of its own: of early 2025, before
Xet; of early 2026, which asks whether to use it; and today's, which always does."""
import sys
from pathlib import Path

import pytest

from conftest import REAL_HOME, ROOT, run

VERSIONS = {'0.29': 'tests/clients/requirements-2025.txt', '1.19': 'tests/clients/requirements-2026.txt', '2.4': None}


@pytest.mark.parametrize('version', VERSIONS)
def test_the_python_client(parts_hub, tmp_path, version):
    packages = VERSIONS[version]
    python = run(ROOT / 'tools/venv', packages, HOME=REAL_HOME).strip() if packages else sys.executable
    said = run(python, Path(__file__).with_name('python_story.py'), parts_hub.url, f'me/by-{version}', tmp_path,
               HF_TOKEN=parts_hub.token)
    print(said)
    assert said.splitlines()[-1].startswith(version) and said.endswith(' done\n')
    assert ('path=/api/xet/v1/xorbs' in parts_hub.log.read_text()) == (version != '0.29')
