"""Rate limits: counted by account or address, told in the headers that huggingface_hub reads; log-ins and sign-ups too."""
import re
import resource
import socket

import pytest
import requests
from conftest import Site, serving
from huggingface_hub.utils import parse_ratelimit_headers


@pytest.fixture(scope='module')
def limited(tmp_path_factory):
    with serving(tmp_path_factory.mktemp('limited'), '--rate-api', '6', '--rate-pages', '4', '--rate-account-times', '2',
                 '--trusted-proxies', '127.0.0.1') as hub:
        yield hub


def ask(hub, path, address=None, token=None, **more):
    headers = {'X-Forwarded-For': address} if address else {}
    if token:
        headers['Authorization'] = f'Bearer {token}'
    return requests.get(hub.url + path, headers=headers | more)


def test_an_address_has_its_share_and_no_more(limited):
    answers = [ask(limited, '/api/models', '192.0.2.1') for _ in range(7)]
    assert [a.status_code for a in answers] == [200] * 6 + [429]
    info = parse_ratelimit_headers(answers[0].headers)
    assert (info.resource_type, info.remaining, info.limit, info.window_seconds) == ('api', 5, 6, 300)
    assert 0 < int(answers[-1].headers['Retry-After']) <= 300
    assert parse_ratelimit_headers(answers[-1].headers).remaining == 0
    assert answers[-1].json()['error'].startswith('Too many requests')
    # Other buckets, other addresses, whom the client claims to be: each on its own.
    assert ask(limited, '/', '192.0.2.1').status_code == 200
    assert ask(limited, '/api/models', '192.0.2.2').status_code == 200
    assert ask(limited, '/api/models', '203.0.113.9, 192.0.2.1').status_code == 429
    # Style sheets are nobody's share; one /64 is one client.
    css = re.search(r'/static/[^"]+', ask(limited, '/', '192.0.2.5').text)[0]
    assert all(ask(limited, css, '192.0.2.5').status_code == 200 for _ in range(8))
    assert [ask(limited, '/api/models', f'2001:db8::{i}').status_code for i in range(1, 8)] == [200] * 6 + [429]


def test_an_account_has_a_larger_share_wherever_it_asks_from(limited):
    answers = [ask(limited, '/api/whoami-v2', f'192.0.2.{i}', limited.token) for i in range(30, 43)]
    assert [a.status_code for a in answers] == [200] * 12 + [429]
    assert parse_ratelimit_headers(answers[0].headers).limit == 12


def test_bad_tokens_count_as_their_address(limited):
    answers = [ask(limited, '/api/whoami-v2', '192.0.2.60', f'hf_{i:034}').status_code for i in range(8)]
    assert answers == [401] * 6 + [429] * 2


def log_in(hub, address, name, password):
    return Site(hub, headers={'X-Forwarded-For': address}).submit('/login', name=name, password=password).status_code


def test_one_password_is_not_tried_on_all_accounts(tmp_path):
    with serving(tmp_path, '--trusted-proxies', '127.0.0.1', '--rate-window', '0') as hub:
        assert [log_in(hub, '192.0.2.1', f'user{i}', 'guess') for i in range(101)] == [401] * 100 + [429]
        assert log_in(hub, '192.0.2.1', 'me', hub.passwords['me']) == 429
        assert log_in(hub, '192.0.2.2', 'me', hub.passwords['me']) == 200


def test_more_clients_than_a_shell_gives_open_files(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (120, hard))
    try:
        with serving(tmp_path) as hub:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1024), hard))
            idle = [socket.create_connection(('127.0.0.1', hub.port)) for _ in range(300)]
            assert requests.get(hub.url + '/api/models', timeout=5).status_code == 200
            for connection in idle:
                connection.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
