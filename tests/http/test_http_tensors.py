"""Tensors of weights: the page that shows them as a tree, the list, and the headers that huggingface_hub asks for."""
import json, re, struct

import pytest, requests
from huggingface_hub import CommitOperationAdd as Add


def safetensors(tensors, metadata=None, size={'F32': 4, 'BF16': 2, 'I64': 8}):
    """The file of these (name, dtype, shape); its data are zeros."""
    header, at = {}, 0
    if metadata:
        header['__metadata__'] = metadata
    for name, dtype, shape in tensors:
        n = size[dtype]
        for dim in shape:
            n *= dim
        header[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [at, at + n]}
        at += n
    text = json.dumps(header).encode()
    return struct.pack('<Q', len(text)) + text + bytes(at)


def gguf(values, tensors):
    string = lambda s: struct.pack('<Q', len(s)) + s.encode()
    out = b'GGUF' + struct.pack('<IQQ', 3, len(tensors), len(values))
    for key, value in values.items():
        out += string(key) + (struct.pack('<I', 8) + string(value) if isinstance(value, str) else struct.pack('<II', 4, value))
    for i, (name, dims) in enumerate(tensors):
        out += string(name) + struct.pack('<I', len(dims)) + struct.pack(f'<{len(dims)}Q', *dims[::-1]) + struct.pack('<IQ', 0, 64 * i)
    return out + bytes(-len(out) % 32) + bytes(64 * len(tensors))


def layers(n):
    return [(f'model.layers.{i}.{part}', 'BF16', [4, 2]) for i in range(n) for part in ('mlp.up.weight', 'mlp.down.weight')]


@pytest.fixture(scope='module')
def model(hub, api):
    """me/weights: two shards behind an index, a GGUF file, a deep model, and files that are not what they say."""
    api.create_repo('me/weights')
    one, two = layers(3), [('lm_head.weight', 'F32', [10, 4]), ('steps', 'I64', [])]
    names = {t[0]: 'model-00001-of-00002.safetensors' for t in one} | {t[0]: 'model-00002-of-00002.safetensors' for t in two}
    index = {'metadata': {'total_size': 264}, 'weight_map': names}
    files = {'model-00001-of-00002.safetensors': safetensors(one, {'format': 'pt'}), 'model-00002-of-00002.safetensors': safetensors(two),
             'model.safetensors.index.json': json.dumps(index).encode(),
             'q.gguf': gguf({'general.architecture': 'llama', 'llama.block_count': 2}, [('token_embd.weight', [4, 4]), ('blk.0.attn_q.weight', [4, 4])]),
             'deep.safetensors': safetensors(layers(400)), 'broken.safetensors': b'\x40\0\0\0\0\0\0\0{"a":'}
    api.create_commit('me/weights', [Add(p, b) for p, b in files.items()], commit_message='weights')
    return 'me/weights'


@pytest.fixture
def page(hub, model):
    def get(path, status=200):
        got = requests.get(f'{hub.url}/{model}/blob/main/{path}', headers={'Accept': 'text/html'})
        assert got.status_code == status
        return got.text
    return get


def test_the_client_gets_all_headers_in_one_answer(api, model):
    whole = api.get_sharded_safetensors_metadata(model)
    parts = api.get_safetensors_metadata(model)
    assert whole.parameter_count == parts.parameter_count == {'BF16': 48, 'F32': 40, 'I64': 1}
    assert whole.files_metadata == parts.files_metadata and whole.metadata == {'total_size': 264}
    assert whole.weight_map == parts.weight_map
    assert api.model_info(model).safetensors.parameters == {'BF16': 48, 'F32': 40, 'I64': 1}


def test_a_list_has_pages_and_a_search(hub, model):
    url = f'{hub.url}/api/models/{model}/tensors/main'
    got = requests.get(url, params={'limit': 5})
    assert got.headers['X-Total-Count'] == '8' and got.json()['total'] == 89 and len(got.json()['files']) == 2
    rest = requests.get(got.links['next']['url'])
    assert len(got.json()['tensors'] + rest.json()['tensors']) == 8 and 'next' not in rest.links
    head = requests.get(url, params={'search': 'lm_head'}).json()['tensors']
    assert head == [{'name': 'lm_head.weight', 'dtype': 'F32', 'shape': [10, 4], 'parameters': 40, 'bytes': 160, 'file': 'model-00002-of-00002.safetensors'}]
    quantised = requests.get(url + '/q.gguf').json()
    assert quantised['files'][0]['metadata'] == {'general.architecture': 'llama', 'llama.block_count': 2}
    assert [t['name'] for t in quantised['tensors']] == ['token_embd.weight', 'blk.0.attn_q.weight']
    bad = requests.get(url + '/broken.safetensors')
    assert bad.status_code == 422 and 'broken.safetensors: offset 8: 64 bytes wanted, 5 left' in bad.json()['error']
    assert requests.get(url + '/none.safetensors').status_code == 404
    assert requests.get(url + '/.gitattributes').status_code == 400


def test_the_page_is_a_tree_and_says_what_there_is(hub, model, page):
    text = page('model.safetensors.index.json')
    assert '8</b> tensors of 2 files' in text and re.search(r'model\s*</b>|>model<', text) and '10 × 4' in text
    assert text.count('<details') - text.count('class="menu"') >= 5  # model, layers, 0, 1, 2, and their mlp
    assert 'weight_map' in page('model.safetensors.index.json?plain=1')
    quantised = page('q.gguf')
    assert 'general.architecture' in quantised and 'token_embd' in quantised
    found = page('model.safetensors.index.json?q=UP')
    assert found.count('mlp.up.weight</span>') == 3 and '3 tensors with' in found
    assert 'offset 8' in page('broken.safetensors')
    home = requests.get(f'{hub.url}/{model}', headers={'Accept': 'text/html'}).text
    assert f'/{model}/blob/main/model.safetensors.index.json"' in home


def test_a_deep_model_is_walked_in_short_pages(page):
    text = page('deep.safetensors')
    assert len(text) < 200_000 and '?in=model.layers' in text
    inside = page('deep.safetensors?in=model.layers')
    assert '>After<' in inside and len(inside) < 300_000
    labels = re.findall(r'in=model.layers.\d+"[^>]*>(\d+)<', inside)
    assert labels == [str(i) for i in range(300)]  # by number, not by letter
    assert page('deep.safetensors?in=model.layers.399.mlp').count('4 × 2') == 2
    assert 'There are no tensors here' in page('deep.safetensors?in=nothing')


def test_who_may_not_read_files_sees_no_tensors(hub, api):
    api.create_repo('me/weights-closed', private=True)
    api.upload_file(path_or_fileobj=safetensors([('secret.weight', 'F32', [2])]), path_in_repo='model.safetensors', repo_id='me/weights-closed')
    for status, token in ((401, None), (404, hub.other_token), (200, hub.token)):
        auth = {'Authorization': f'Bearer {token}'} if token else {}
        for path in ('tensors/main', 'safetensors-metadata/model.safetensors'):
            assert requests.get(f'{hub.url}/api/models/me/weights-closed/{path}', headers=auth).status_code == status
    api.update_repo_settings('me/weights-closed', private=False, gated='manual')
    auth = {'Authorization': f'Bearer {hub.other_token}'}
    for path in ('tensors/main', 'safetensors-metadata/model.safetensors'):
        assert requests.get(f'{hub.url}/api/models/me/weights-closed/{path}', headers=auth).status_code == 403
