"""@huggingface/hub under node: every function that speaks to a hub, in one story."""
import re
from pathlib import Path

import pytest

from conftest import run

STORY = Path(__file__).with_name('javascript_story.mjs')
# What speaks to a hub and is not in the story, and why.
ELSEWHERE = {
    r'\w*Jobs?|\w*ScheduledJobs?|streamJob\w+|listJobHardware': 'runs programs on the computers of huggingface.co',
    r'copyF(ile|iles|older)(Iter)?|commitIterBucket': 'buckets, a product of huggingface.co',
    r'oauth\w+': 'logging in to other sites with an account',
    r'commitIter|scanCachedRepo|scanRefsDir|scanSnapshotDir|getBlobStat|getHFHubCachePath|getRepoFolderName|parseRepoType':
        'inside of others',
    r'assertSafeShardFilename|computeNumOfParamsByDtypeSingleFile|encodeShardFilename|getQuantizationMultiplier|globMatch|'
    r'isQuantizedTensor|matchesCompressedTensorsTarget|parseSafetensorsShardFilename|parseTotalParameters|relativeUnderFolder|'
    r'streamJson|validateTensorEntry|[A-Z]\w*|_\w*': 'asks nobody',
}


@pytest.fixture
def node(node_packages, tmp_path):
    """node(...) runs it beside the client's packages."""
    (tmp_path / 'node_modules').symlink_to(node_packages / 'node_modules')
    return lambda *args: run('node', *args, cwd=tmp_path)


def test_the_javascript_client(parts_hub, node, tmp_path):
    (tmp_path / 'story.mjs').write_text(STORY.read_text())
    assert node('story.mjs', parts_hub.url, parts_hub.token, 'me', tmp_path).splitlines()[-1] == 'done'
    assert 'path=/api/xet/v1/xorbs' in parts_hub.log.read_text()


def test_its_story_leaves_nothing_out(node):
    names = node('--input-type=module', '-e', 'import * as hub from "@huggingface/hub"; console.log(Object.entries(hub)'
                 '.filter(([, value]) => typeof value === "function").map(([name]) => name).join(" "))').split()
    told = set(re.findall(r'hub\.(\w+)\(', STORY.read_text()))
    assert told <= set(names)
    assert [n for n in names if n not in told and not any(re.fullmatch(p, n) for p in ELSEWHERE)] == []
