"""The page of administrators and /metrics: who sees them, and that they count what happened."""
import re

import pytest
import requests
from conftest import Site, serving


@pytest.fixture(scope='module')
def watched(tmp_path_factory):
    with serving(tmp_path_factory.mktemp('watched')) as hub:
        hub.add_user('you')
        yield hub


def metric(text, name):
    return float(re.search(rf'^{re.escape(name)} (\S+)$', text, re.M)[1])


def test_administrators_alone_see_how_the_hub_does(watched):
    assert requests.get(f'{watched.url}/admin', allow_redirects=False).status_code == 303
    other = Site(watched, 'you')
    assert other.get('/admin').status_code == 403
    assert '/admin"' not in other.get('/').text
    me = Site(watched, 'me')
    assert '/admin"' in me.get('/').text
    page = me.get('/admin').text
    assert 'Requests a minute' in page and 'None is loaded' in page and 'are free below' in page
    assert '<td><a href="/you">you</a></td>' in page
    found = me.get('/admin?q=ME').text
    assert '<a href="/me">me</a>' in found and '<a href="/you">' not in found


def test_requests_are_counted_with_their_times(watched):
    ask = lambda: requests.get(f'{watched.url}/metrics', headers={'Authorization': f'Bearer {watched.token}'}).text
    before = ask()
    for _ in range(5):
        requests.get(f'{watched.url}/api/models')
    requests.get(f'{watched.url}/api/models/no/such')
    after = ask()
    grown = {c: metric(after, f'hug_http_requests_total{{class="{c}"}}') - metric(before, f'hug_http_requests_total{{class="{c}"}}')
             for c in ('2xx', '4xx', '5xx')}
    assert grown == {'2xx': 6, '4xx': 1, '5xx': 0}
    steps = [float(n) for n in re.findall(r'hug_http_request_seconds_bucket{le="[^"]+"} (\d+)', after)]
    assert steps == sorted(steps) and steps[-1] == metric(after, 'hug_http_request_seconds_count') >= 8
    assert metric(after, 'hug_http_request_seconds_sum') > 0
