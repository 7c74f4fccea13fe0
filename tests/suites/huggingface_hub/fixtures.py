"""The conftest.py of the suite's run: what its tests expect to be given, in our words. `run` puts it
beside the tests of the source package, which has none."""
import os
from contextlib import ExitStack
from typing import Protocol

import pytest
from huggingface_hub import HfApi, constants

from .testing_constants import ENDPOINT_PRODUCTION, ENDPOINT_STAGING, TOKEN, USER
from .testing_utils import repo_name


@pytest.fixture(autouse=True)
def own_home(monkeypatch, tmp_path_factory):
    """Caches and stored tokens of one test are no other's."""
    home = tmp_path_factory.mktemp('home')
    for name, path in {'HF_HOME': '', 'HF_HUB_CACHE': 'hub', 'HUGGINGFACE_HUB_CACHE': 'hub', 'HF_XET_CACHE': 'xet',
                       'HF_ASSETS_CACHE': 'assets', 'HF_TOKEN_PATH': 'token',
                       'HF_STORED_TOKENS_PATH': 'stored_tokens'}.items():
        if hasattr(constants, name):
            monkeypatch.setattr(constants, name, os.path.join(home, path))


@pytest.fixture(autouse=True)
def fresh_state(monkeypatch):
    """What the library remembers between calls, and how wide it thinks the terminal is."""
    from huggingface_hub.utils import _auth, _detect_agent
    for name, value in {'_OAUTH_REFRESH_CACHE': None, '_OAUTH_REFRESH_WARNED': False}.items():
        if hasattr(_auth, name):
            monkeypatch.setattr(_auth, name, value)
    if hasattr(_detect_agent, '_EMPTY_REGISTRY'):
        monkeypatch.setattr(_detect_agent, '_registry', _detect_agent._EMPTY_REGISTRY)
    monkeypatch.setenv('NO_COLOR', '1')
    monkeypatch.setenv('COLUMNS', '200')
    monkeypatch.setattr(constants, 'HF_HUB_DISABLE_EXPERIMENTAL_WARNING', True)
    try:
        from huggingface_hub.cli._output import out
    except ImportError:
        return
    out.set_mode()
    out.set_no_truncate(False)


@pytest.fixture(autouse=True)
def xet_as_marked(request, monkeypatch):
    """`xet`: switched on; `no_xet`: only without the package, which is always here."""
    if request.node.get_closest_marker('no_xet'):
        pytest.skip('hf_xet is installed')
    if request.node.get_closest_marker('xet'):
        monkeypatch.setattr(constants, 'HF_HUB_DISABLE_XET', False)
        monkeypatch.delenv('HF_HUB_DISABLE_XET', raising=False)


@pytest.fixture(autouse=True)
def deprecated_as_marked(request):
    """`deprecated(name...)`: the test must warn of each."""
    names = [name for mark in request.node.iter_markers('deprecated') for name in mark.args]
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(pytest.warns(FutureWarning, match=f".*'{name}'.*"))
        yield


@pytest.fixture(autouse=True)
def git_lfs_as_marked(request):
    if request.node.get_closest_marker('git_lfs') and os.environ.get('RUN_GIT_LFS_TESTS') != '1':
        pytest.skip('set RUN_GIT_LFS_TESTS=1')


@pytest.fixture(scope='module')
def vcr_config():
    return {'ignore_localhost': True}


@pytest.fixture(scope='session')
def api():
    return HfApi(endpoint=ENDPOINT_STAGING, token=TOKEN)


@pytest.fixture(scope='session')
def api_prod():
    return HfApi(endpoint=ENDPOINT_PRODUCTION)


class RepoFactory(Protocol):
    """Makes a repository that goes when the test ends; returns its RepoUrl."""

    def __call__(self, repo_type='model', **kwargs): ...


@pytest.fixture
def repo_factory(api):
    made = []

    def make(repo_type='model', **more):
        if repo_type == 'space':
            more.setdefault('space_sdk', 'gradio')
        url = api.create_repo(more.pop('repo_id', None) or repo_name(prefix=repo_type), repo_type=repo_type, **more)
        made.append((url.repo_id, repo_type))
        return url

    yield make
    for repo_id, repo_type in made:
        api.delete_repo(repo_id, repo_type=repo_type, missing_ok=True)


@pytest.fixture
def new_repo_id(api):
    """A name that the test itself makes a repository of."""
    repo_id = f'{USER}/{repo_name()}'
    yield repo_id
    api.delete_repo(repo_id, missing_ok=True)
