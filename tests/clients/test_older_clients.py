"""Clients that people still have: huggingface_hub of early 2025, and @huggingface/hub under node."""
import json
import os

from conftest import run

SCRIPT_2025 = '''
import sys
from huggingface_hub import HfApi, hf_hub_download, snapshot_download, CommitOperationAdd, CommitOperationDelete
name, folder, cache = sys.argv[1:]
api = HfApi()
assert api.whoami()["name"] == "me"
api.create_repo(name, exist_ok=True)
api.upload_folder(repo_id=name, folder_path=folder)
api.create_commit(name, [CommitOperationAdd("more.txt", b"more"), CommitOperationDelete("gone.txt")], commit_message="Edit")
path = snapshot_download(name, cache_dir=cache)
print(path)
print(",".join(sorted(api.list_repo_files(name))))
print(api.model_info(name, files_metadata=True).sha)
'''


def test_the_python_client_of_2025_uploads_by_lfs(hub, python_2025, tmp_path):
    folder = tmp_path / 'up'
    folder.mkdir()
    content = os.urandom(12_000_000)
    (folder / 'w.bin').write_bytes(content)
    (folder / 'gone.txt').write_text('gone')
    out = run(python_2025, '-c', SCRIPT_2025, 'me/of-2025', folder, tmp_path / 'cache', HF_TOKEN=hub.token)
    path, files, sha = out.split()
    assert files == '.gitattributes,more.txt,w.bin' and path.endswith(sha)
    assert open(path + '/w.bin', 'rb').read() == content


SCRIPT_JS = '''
import * as hub from "@huggingface/hub";
import { createHash } from "node:crypto";
const [hubUrl, accessToken] = process.argv.slice(2);
const repo = { type: "dataset", name: "me/from-js" };
const to = { hubUrl, accessToken, repo };
const me = await hub.whoAmI({ hubUrl, accessToken });
await hub.createRepo(to);
const big = new Uint8Array(11_000_000).map((_, i) => (i * 2654435761) >>> 13);
await hub.uploadFiles({ ...to, commitTitle: "From JS", files: [
  { path: "a/hello.txt", content: new Blob(["hello"]) }, { path: "gone.txt", content: new Blob(["gone"]) },
  { path: "big.bin", content: new Blob([big]) }] });
await hub.deleteFile({ ...to, path: "gone.txt" });
const files = [];
for await (const f of hub.listFiles({ ...to, recursive: true })) files.push(f.path);
const text = await (await hub.downloadFile({ ...to, path: "a/hello.txt" })).text();
const back = new Uint8Array(await (await hub.downloadFile({ ...to, path: "big.bin" })).arrayBuffer());
const commits = [];
for await (const c of hub.listCommits(to)) commits.push(c.title);
const listed = [];
for await (const d of hub.listDatasets({ hubUrl, search: { query: "from-js" } })) listed.push(d.name);
console.log(JSON.stringify({ me: me.name, files: files.sort(), text, listed, commits,
  count: await hub.countCommits(to), info: (await hub.datasetInfo({ hubUrl, name: "me/from-js" })).name,
  exists: await hub.fileExists({ ...to, path: "big.bin" }), missing: await hub.fileExists({ ...to, path: "no" }),
  paths: (await hub.pathsInfo({ ...to, paths: ["big.bin"] }))[0].size,
  same: createHash("sha256").update(big).digest("hex") === createHash("sha256").update(back).digest("hex") }));
await hub.deleteRepo(to);
'''


def test_the_javascript_client(hub, node_packages, tmp_path):
    (tmp_path / 'node_modules').symlink_to(node_packages / 'node_modules')
    (tmp_path / 'client.mjs').write_text(SCRIPT_JS)
    said = json.loads(run('node', 'client.mjs', hub.url, hub.token, cwd=tmp_path).splitlines()[-1])
    assert said['me'] == 'me' and said['text'] == 'hello' and said['same'] and said['paths'] == 11_000_000
    assert set(said['files']) >= {'.gitattributes', 'a/hello.txt', 'big.bin'} and 'gone.txt' not in said['files']
    assert said['listed'] == ['me/from-js'] == [said['info']] and said['exists'] and not said['missing']
    assert said['count'] == 3 == len(said['commits']) and said['commits'][1] == 'From JS'
