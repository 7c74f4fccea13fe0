"""A hub that a proxy shows to the world over TLS."""
import requests

from conftest import serving


def test_cookies_are_for_tls_where_the_world_has_it(tmp_path):
    with serving(tmp_path, '--url', 'https://hub.example', '--trusted-proxies', '127.0.0.1') as hub:
        def says_secure(**headers):
            cookie = requests.get(f'{hub.url}/login', headers=headers).headers['Set-Cookie']
            assert 'HttpOnly' in cookie and 'SameSite=Lax' in cookie
            return 'Secure' in cookie
        assert says_secure(Host='hub.example') and says_secure(**{'X-Forwarded-Proto': 'https'})
        # On the machine itself it is plain HTTP: a browser would not send such a cookie back.
        assert not says_secure() and not says_secure(Host='hub.example.org')
        form = requests.Session()
        form.headers['Host'] = 'hub.example'
        page = form.get(f'{hub.url}/login').text
        csrf = page.split('name="csrf" value="')[1].split('"')[0]
        answer = requests.post(f'{hub.url}/login', data={'csrf': csrf, 'name': 'me', 'password': hub.password_of('me')}, allow_redirects=False,
                               headers={'Host': 'hub.example', 'Cookie': '; '.join(f'{c.name}={c.value}' for c in form.cookies)})
        assert answer.status_code == 303 and 'Secure' in answer.headers['Set-Cookie']
