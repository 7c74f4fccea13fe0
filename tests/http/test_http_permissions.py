"""Who may do what: every route of the server, asked by everybody about everything, against permissions.txt.

The list of routes is the server's own (`hug serve --routes`): one without a line in permissions.txt
fails, and so does a line without a route. Each line becomes requests of all ACTORS about an open, a
hidden and a gated repository of each kind; what a hidden one answers to those who must not know of it
is compared, head and body, with what a repository that does not exist answers."""
import base64, hashlib, http.client, itertools, json, re, sqlite3, subprocess
from pathlib import Path
from urllib.parse import urlencode

import pytest, requests
from conftest import HUG, Hub, Site, postgres

TABLE = Path(__file__).with_name('permissions.txt')
# The letters that a line of the table is made of; permissions.txt says who they are.
ACTORS, PAGE_ACTORS = 'nsrcwapodx', 'nsrcwa'
MEMBERS = {'r': ('rea', 'read'), 'c': ('con', 'contributor'), 'w': ('wri', 'write'), 'a': ('adm', 'admin')}
# Repositories of acme; "none" is what is not there, and a name as long as "hush".
VISIBILITIES = {'open': {}, 'hush': {'private': True}, 'gate': {'gated': 'manual'}}
KINDS = {'models': '', 'datasets': '/datasets', 'spaces': '/spaces'}
UNIQUE = 'quokka'   # a word that stands in the hidden repositories alone
CONTENT = b'weights of nobody\n' * 100
OID = hashlib.sha256(CONTENT).hexdigest()
PARAMS = {'rev': 'main', 'branch': 'main', 'path...': 'README.md', 'num': '1', 'sha': 'main', 'range': 'main..main', 'org': 'acme',
          'status': 'pending', 'lock': '0' * 24, 'oid': OID, 'hash': '0' * 64, 'space': 'default', 'user': 'rea', 'id': '0' * 24, 'item': '0' * 24,
          'event': '0' * 24, 'config': 'default', 'split': 'train', 'task': 'text-generation', 'file': 'hug.css', 'model...': 'acme/open'}
VOLATILE = {'date', 'x-request-id', 'set-cookie', 'content-length'}


# ---- The table ----

class Line:
    """One line of permissions.txt below its classes: CLASS METHOD PATTERN[?QUERY] [words] [json|form|multipart|text BODY]."""
    form = re.compile(r'(\S+) +(GET|POST|PUT|PATCH|DELETE) +([^\s?]+)(\?\S+)?((?: +(?:\d+(?:,\d+)*|again|session|[\w.]+=\S*))*)'
                      r'(?: +(json|form|multipart|text) (.*))?$')

    def __init__(self, text, number):
        parts = self.form.match(text.strip())
        assert parts, f'{TABLE.name}:{number}: {text}'
        self.name, self.method, self.pattern, query, words, self.type, self.body = parts.groups()
        self.query, self.ok, self.flags, self.params = query or '', None, set(), {}
        for word in words.split():
            if word[0].isdigit():
                self.ok = {int(n) for n in word.split(',')}
            elif '=' in word:
                self.params |= [word.split('=', 1)]
            else:
                self.flags.add(word)

    @property
    def is_page(self):
        return self.name.startswith('page-')

    @property
    def id(self):
        return f'{self.method} {self.pattern}{self.query}'

    def prefixes(self):
        """The pattern for each kind of repository: {any} stands before the paths of pages and git."""
        return list(KINDS.values()) if '{any}' in self.pattern else ['']

    def patterns(self):
        return {self.pattern.replace('{any}', prefix) for prefix in self.prefixes()}


def read_table():
    classes, lines = {}, []
    for number, text in enumerate(TABLE.read_text().splitlines(), 1):
        if not text.strip() or text.startswith('#'):
            continue
        if text.startswith('class '):
            _, name, *blocks = text.split()
            classes[name] = blocks
        else:
            lines.append(Line(text, number))
            assert lines[-1].name in classes, f'{TABLE.name}:{number}: there is no class {lines[-1].name}'
    return classes, lines


CLASSES, LINES = read_table()


# ---- The world ----

class World:
    def __init__(self, folder):
        self.hub = hub = Hub(folder / 'data', args=['--rate-window', '0', '--no-request-log'])
        hub.start()
        self.numbers = itertools.count(1)
        for name in ['sid'] + [name for name, _ in MEMBERS.values()]:
            hub.add_user(name)
        hub.admin('org', 'add', 'acme', '--owner', 'adm')
        for name, role in MEMBERS.values():
            hub.admin('org', 'member', 'acme', name, '--role', role)
        fine = lambda *scope: hub.admin('token', 'add', '--user', 'adm', '--role', 'fineGrained', '--scope', *scope)
        self.tokens = {'s': hub.add_token('sid'), 'd': hub.add_token('adm', 'read')}
        self.tokens |= {letter: hub.add_token(name) for letter, (name, _) in MEMBERS.items()}
        self.make('models', 'side', {'private': True})
        self.tokens['o'] = fine('models/acme/side=repo.content.read,repo.content.write,repo.write,repo.access.read,discussion.write')
        self.tokens['p'] = fine('acme=repo.content.write')
        self.tokens['x'] = 'hf_' + 'x' * 34
        self.end_token('x')
        self.events, self.collections = {}, {}
        for kind, name in itertools.product(KINDS, VISIBILITIES):
            self.repository(kind, name)
        for name in ('open', 'hush'):
            self.collection(name)
        self.sessions = {letter: self.session(letter) for letter in PAGE_ACTORS}
        self.connection = http.client.HTTPConnection('127.0.0.1', hub.port, timeout=60)

    def end_token(self, letter):
        """A token of the administrator whose time has passed."""
        token = Site(self.hub, 'adm')
        made = token.post('/settings/tokens', name='short', role='write', expires='1')
        self.tokens[letter] = re.search(r'data-copy="(hf_\w+)"', made.text)[1]
        ends = "UPDATE tokens SET expires_ns = 1 WHERE name = 'short'"
        if self.hub.db:
            return postgres.sql(self.hub.db, ends)
        with sqlite3.connect(self.hub.data / 'hub.db') as db:
            db.execute(ends)

    def session(self, letter):
        """The cookie of somebody who has logged in, and the forms' word for it."""
        site = Site(self.hub, {'s': 'sid', 'n': None}.get(letter) or letter != 'n' and MEMBERS[letter][0])
        return '; '.join(f'{k}={v}' for k, v in site.s.cookies.items()), site.csrf

    def call(self, letter, method, path, **more):
        answer = requests.request(method, self.hub.url + path, headers={'Authorization': f'Bearer {self.tokens[letter]}'}, **more)
        assert answer.ok, f'{method} {path}: {answer.status_code} {answer.text}'
        return answer.json()

    def make(self, kind, name, settings):
        self.call('a', 'POST', '/api/repos/create', json={'name': name, 'organization': 'acme', 'type': kind[:-1], 'sdk': 'static',
                                                          'private': settings.get('private', False)})

    def repository(self, kind, name):
        """The repository as it should be, made anew where a request has taken it away."""
        if requests.get(f'{self.hub.url}/api/{kind}/acme/{name}', headers={'Authorization': f'Bearer {self.tokens["a"]}'},
                        allow_redirects=False).status_code == 200:
            return
        settings, base = VISIBILITIES[name], f'/api/{kind}/acme/{name}'
        self.make(kind, name, settings)
        word = UNIQUE if name == 'hush' else 'plain'
        batch = self.call('a', 'POST', f'{KINDS[kind]}/acme/{name}.git/info/lfs/objects/batch',
                          json={'operation': 'upload', 'objects': [{'oid': OID, 'size': len(CONTENT)}]})
        for action in batch['objects'][0].get('actions', {}).values():
            if 'verify' not in action['href']:
                requests.put(action['href'], data=CONTENT).raise_for_status()
        file = lambda path, text: {'key': 'file', 'value': {'path': path, 'encoding': 'base64', 'content': base64.b64encode(text).decode()}}
        lines = [{'key': 'header', 'value': {'summary': f'a {word}'}}, file('README.md', f'# {name}\n\nA {word}.\n'.encode()),
                 file('train.csv', b'word,n\n%s,1\n' % word.encode()), file('config.json', b'{}'),
                 {'key': 'lfsFile', 'value': {'path': 'model.bin', 'algo': 'sha256', 'oid': OID, 'size': len(CONTENT)}}]
        self.call('a', 'POST', f'{base}/commit/main', data='\n'.join(map(json.dumps, lines)))
        self.call('a', 'PUT', f'{base}/settings', json=settings)
        for pull in (False, True):
            self.call('a', 'POST', f'{base}/discussions', json={'title': word, 'description': word, 'pullRequest': pull})
        self.events[kind, name] = self.call('a', 'GET', f'{base}/discussions/1')['events'][0]['id']

    def comment(self, kind, name):
        """A comment to be hidden."""
        self.events[kind, name] = self.call('a', 'POST', f'/api/{kind}/acme/{name}/discussions/1/comment', json={'comment': 'x'})['newMessage']['id']

    def collection(self, name):
        slug = self.collections.get(name)
        if slug and requests.get(f'{self.hub.url}/api/collections/acme/{slug}', headers={'Authorization': f'Bearer {self.tokens["a"]}'}).ok:
            return
        made = self.call('a', 'POST', '/api/collections', json={'title': name, 'namespace': 'acme', 'private': name == 'hush',
                                                                 'description': UNIQUE if name == 'hush' else '',
                                                                 'item': {'type': 'model', 'id': 'acme/open'}})
        self.collections[name] = made['slug'].split('/')[1]
        if name == 'hush':
            self.collections['none'] = self.collections['hush'][:-4] + '0000'

    # ---- One request ----

    def fill(self, text, kind, name):
        """$n a new number, $name and $repo the repository, $kind and $kinds its kind, $private, $gated as it is."""
        settings = VISIBILITIES.get(name, VISIBILITIES['hush'])
        known = {'n': f'n{next(self.numbers)}' if '$n' in text else '', 'name': name, 'repo': f'acme/{name}', 'kinds': kind, 'kind': kind[:-1],
                 'private': json.dumps(settings.get('private', False)), 'gated': json.dumps(settings.get('gated', False)), 'oid': OID,
                 'visibility': 'private' if 'private' in settings else 'public', 'gate': settings.get('gated', ''),
                 'event': self.events.get((kind, name), '0' * 24)}
        return re.sub(r'\$(\w+)', lambda m: known.get(m[1], m[0]), text)

    def target(self, line, prefix, kind, name):
        def value(found):
            key = found[1]
            if key == 'any':
                return prefix
            fixed = {'kind': kind, 'owner': 'acme', 'name': name, 'event': self.events.get((kind, name), '0' * 24),
                     'slug': self.collections.get(name)}
            return self.fill(next(v[key] for v in (line.params, fixed, PARAMS) if v.get(key) is not None), kind, name)
        return re.sub(r'\{([^}]+)\}', value, line.pattern) + self.fill(line.query, kind, name)

    def ask(self, line, letter, prefix, kind, name, csrf=True, more={}):
        """(status, headers, body) of one request by one actor about one repository."""
        headers, body = dict(more), None
        if line.is_page:
            headers['Accept'] = 'text/html'
        session = self.sessions.get('a' if letter == 'cookie' else letter) if line.is_page or letter == 'cookie' else None
        if session and 'session' in line.flags and letter in PAGE_ACTORS:
            session = self.session(letter)
        if line.is_page and letter in 'px':   # as a visitor, with what does not count here
            session = self.sessions['n']
        if session:
            headers['Cookie'] = session[0] + ('; hug_session=' + '0' * 40) * (letter == 'x')
        if letter in self.tokens and (letter == 'p' or not line.is_page):
            headers['Authorization'] = f'Bearer {self.tokens[letter]}'
        if line.type == 'form' or line.is_page and line.method != 'GET':
            fields = [tuple(f.split('=', 1)) for f in self.fill(line.body or '', kind, name).split('&') if f]
            fields = [('csrf', session[1])] + fields if session and csrf else fields
            headers['Content-Type'] = 'application/x-www-form-urlencoded'
            body = urlencode(fields)
            if line.type == 'multipart':
                headers['Content-Type'] = 'multipart/form-data; boundary=part'
                body = ''.join(f'--part\r\nContent-Disposition: form-data; name="{k}"' + f'; filename="{v}"' * (k == 'files') +
                               f'\r\n\r\n{v}\r\n' for k, v in fields) + '--part--\r\n'
        elif line.body:
            headers['Content-Type'] = 'application/json' if line.type == 'json' else 'text/plain'
            body = self.fill(line.body, kind, name).encode()
        elif line.method in ('POST', 'PUT', 'PATCH'):
            body = ''
        target = self.target(line, prefix, kind, name)
        for last in (False, True):
            try:
                self.connection.request(line.method, target, body, headers)
                answer = self.connection.getresponse()
                return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
            except (http.client.HTTPException, ConnectionError):
                self.connection.close()
                if last:
                    raise


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp('permissions'))
    yield world
    world.hub.stop()


# ---- What an answer means ----

def without_names(world, kind, seen):
    """An answer without what is different each time, with the names of the hidden and the missing one alike."""
    status, headers, body = seen
    def plain(text):
        for word in ('hush', 'none'):
            text = text.replace(world.collections[word], 'SLUG')
        text = text.replace(world.events[kind, 'hush'], '0' * 24).replace('hush', 'none').replace(headers.get('x-request-id', ' '), '')
        return re.sub(r'\bn\d+|[0-9a-f]{64}', '', text)   # $n; the word of a visitor's forms
    return status, {k: plain(v) for k, v in headers.items() if k not in VOLATILE}, plain(body.decode(errors='replace'))


def same_as_missing(world, line, actor, prefix, kind, seen, etag):
    """Nothing tells a hidden repository from one that is not there, not even to somebody who knows its ETag."""
    for more in [{}] + [{'If-None-Match': etag}] * bool(etag):
        hidden = world.ask(line, actor, prefix, kind, 'hush', more=more) if more else seen
        missing = world.ask(line, actor, prefix, kind, 'none', more=more)
        if without_names(world, kind, hidden) != without_names(world, kind, missing):
            return False
    return 'etag' not in seen[1] and UNIQUE not in seen[2].decode(errors='replace')


def letter_of(world, line, actor, prefix, kind, name, etag):
    """What an answer means, in the letters of the table, and the answer."""
    if 'again' in line.flags:
        (world.collection(name) if '{slug}' in line.pattern else world.comment(kind, name) if line.pattern.endswith('/hide') else
         world.repository(kind, name))
    seen = status, headers, body = world.ask(line, actor, prefix, kind, name)
    code = headers.get('x-error-code')
    if name == 'hush' and status in (303, 401, 403, 404) and same_as_missing(world, line, actor, prefix, kind, seen, etag):
        return 'M', seen
    if line.ok and status in line.ok and code not in ('RepoNotFound', 'GatedRepo'):
        return '+', seen
    if code == 'GatedRepo' or status == 303 and headers.get('location', '').endswith('#gate'):
        return 'G', seen
    if status == 401 or status == 303 and headers.get('location', '').startswith('/login?next='):
        return 'L', seen
    if status == 403:
        return 'D', seen
    if 200 <= status < 400:
        return '+', seen
    return ('N' if status == 404 else '?'), seen


def kinds_of(line):
    """(prefix, kind) of the repositories that a line is asked about."""
    if '{any}' in line.pattern:
        return [(prefix, kind) for kind, prefix in KINDS.items()]
    if '{kind}' in line.pattern or '$kind' in line.query + (line.body or ''):
        return [('', kind) for kind in KINDS]
    first = line.pattern.split('/')[1:3]
    return [('', next((kind for kind in KINDS if kind in first or kind in line.query), 'models'))]


def shown(body):
    """What an answer says, in short: of a page, what it complains of."""
    said = re.search(rb'role="alert">([^<]*)|<h1[^>]*>([^<]*)', body)
    return (said[1] or said[2] if said else body)[:150]


@pytest.mark.parametrize('line', LINES, ids=lambda line: line.id)
def test_everybody_may_what_the_table_says(world, line):
    blocks, wrong, kinds = CLASSES[line.name], [], kinds_of(line)
    everybody = PAGE_ACTORS + 'px' if line.is_page else ACTORS
    for (prefix, kind), (name, block) in itertools.product(kinds, zip(VISIBILITIES, blocks)):
        says = dict(zip(everybody, block + block[0] * 2 if line.is_page else block))   # a token or an old cookie opens no page
        actors = everybody if kind == kinds[0][1] else 'nsw'   # the kinds share their code
        etag, does, answers = None, {}, []
        for actor in reversed(actors):   # the administrator's answer has the ETag that others try
            does[actor], (status, headers, body) = letter_of(world, line, actor, prefix, kind, name, etag)
            etag = headers.get('etag') if actor == 'a' else etag
            if does[actor] != says[actor]:
                answers.append(f'    {actor}: {status} {shown(body)}')
            if len(blocks) == 1 and actor in 'nsox' and status < 400:
                assert b'hush' not in body, f'{line.id} tells {actor} of a hidden repository: {body[:2000]}'
        if answers:
            row = lambda title, letters: f'  {title:<32}' + ''.join(letters[actor] for actor in actors)
            wrong += [f'{prefix or kind} {name}', row('', dict(zip(actors, actors))), row(f'the table says {line.name}', says),
                      row('the server does', does)] + answers
    assert not wrong, '\n'.join([line.id] + wrong)


HOW = """{n} routes have no line in tests/http/permissions.txt, which says who may use them. Add these lines there, below those of
their feature, with a class for CLASS (its beginning explains them: read, files, write, known, ...) and the query or body with which
the request works; {{any}} in place of "", "/datasets" and "/spaces" makes one line of three. Then run
    pytest tests/http/test_http_permissions.py
"""


def test_every_route_has_its_line(world):
    listed = subprocess.run([HUG, 'serve', '--routes', '--data', world.hub.data.with_name('routes')], stdout=subprocess.PIPE,
                            text=True, check=True).stdout.splitlines()
    routes = {(method, pattern): (what, ' '.join(text).strip()) for what, method, pattern, *text in (line.split(' ', 3) for line in listed)}
    known = {(line.method, pattern) for line in LINES for pattern in line.patterns()}
    missing = [f'    {"page-" * (what == "page")}CLASS {method} {pattern}    # {text}'
               for (method, pattern), (what, text) in routes.items() if (method, pattern) not in known]
    assert not missing, '\n'.join([HOW.format(n=len(missing))] + missing)
    gone = known - set(routes)
    assert not gone, f'tests/http/{TABLE.name} has lines for routes that are no more: {gone}'


@pytest.mark.parametrize('line', [l for l in LINES if l.method != 'GET'], ids=lambda line: line.id)
def test_a_cookie_alone_changes_nothing(world, line):
    """What travels uninvited, from another site's form, is not enough: 403 without the session's token."""
    prefix, kind = kinds_of(line)[0]
    status, _, body = world.ask(line, 'cookie', prefix, kind, 'open', csrf=False)
    assert status == 403 or line.name in ('sealed', 'signed', 'no-viewer'), (status, body[:300])
