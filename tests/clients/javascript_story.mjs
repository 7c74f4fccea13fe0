// What a JavaScript program does with a hub: every function of @huggingface/hub that speaks to one, once.
// Usage: node javascript_story.mjs HUB_URL TOKEN USER FOLDER     prints "done" behind the last step
import * as hub from "@huggingface/hub";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const [hubUrl, accessToken, user, folder] = process.argv.slice(2);
const who = { hubUrl, accessToken };
const name = `${user}/javascript`;
const repo = { type: "model", name };
const at = { ...who, repo };
const all = async (list) => { const found = []; for await (const item of list) found.push(item); return found; };
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const bytesOf = async (blob) => new Uint8Array(await blob.arrayBuffer());
const refused = (promise, status) => assert.rejects(promise, (error) => {
  assert.ok(error instanceof hub.HubApiError, String(error));
  assert.equal(error.statusCode, status);
  return true;
});

const me = await hub.whoAmI(who);
assert.equal(me.name, user);
assert.equal(me.auth.accessToken.role, "write");
await refused(hub.whoAmI({ hubUrl, accessToken: "hf_" + "x".repeat(34) }), 401);

// ---- A repository and its files ----
const made = await hub.createRepo({ ...at, license: "mit", files: [{ path: "first.txt", content: new Blob(["first"]) }] });
assert.equal(made.repoUrl, `${hubUrl}/${name}`);
await refused(hub.createRepo(at), 409);
assert.ok(await hub.repoExists({ ...at }));
assert.ok(!(await hub.repoExists({ ...who, repo: { type: "model", name: `${user}/nothing` } })));
await hub.checkRepoAccess(at);
await refused(hub.checkRepoAccess({ ...who, repo: { type: "model", name: `${user}/nothing` } }), 404);

const header = JSON.stringify({ __metadata__: { format: "pt" }, w: { dtype: "F32", shape: [512, 1024], data_offsets: [0, 2 << 20] } });
const weights = new Uint8Array(8 + header.length + (2 << 20)).map((_, i) => (i * 2654435761) >>> 13);
new DataView(weights.buffer).setBigUint64(0, BigInt(header.length), true);
weights.set(new TextEncoder().encode(header), 8);
const big = new Uint8Array(11_000_000).map((_, i) => (i * 40503) >>> 7);

await hub.uploadFile({ ...at, file: { path: "a/hello.txt", content: new Blob(["hello"]) } });
for (const useXet of [false, true])
  await hub.uploadFiles({ ...at, useXet, commitTitle: `Xet: ${useXet}`, files: [
    { path: useXet ? "by-xet.bin" : "by-lfs.bin", content: new Blob([big.subarray(useXet ? 1 : 0)]) },
    { path: `${useXet}.txt`, content: new Blob([String(useXet)]) }] });
const phases = (await all(hub.uploadFilesWithProgress({ ...at, files: [{ path: "model.safetensors", content: new Blob([weights]) }] })))
  .filter((event) => event.event === "phase").map((event) => event.phase);
assert.deepEqual(phases, ["preuploading", "uploadingLargeFiles", "committing"]);
await mkdir(`${folder}/local/sub`, { recursive: true });
await writeFile(`${folder}/local/sub/inner.txt`, "inner");
await hub.uploadFiles({ ...at, files: [pathToFileURL(`${folder}/local`)] });
const head = await hub.commit({ ...at, title: "Edit", description: "Three at once", operations: [
  { operation: "addOrUpdate", path: "a/hello.txt", content: new Blob(["hello again"]) },
  { operation: "addOrUpdate", path: "a/other.txt", content: new Blob(["other"]) },
  { operation: "delete", path: "first.txt" }] });
assert.match(head.commit.oid, /^[0-9a-f]{40}$/);
await refused(hub.commit({ ...at, title: "Late", parentCommit: "0".repeat(40),
  operations: [{ operation: "addOrUpdate", path: "late.txt", content: new Blob(["late"]) }] }), 412);
await hub.deleteFile({ ...at, path: "true.txt" });
await hub.deleteFiles({ ...at, paths: ["false.txt", "a/other.txt"] });

const files = await all(hub.listFiles({ ...at, recursive: true }));
assert.deepEqual(files.filter((f) => f.type === "file").map((f) => f.path).sort(), [".gitattributes", "README.md", "a/hello.txt", "by-lfs.bin",
  "by-xet.bin", "local/sub/inner.txt", "model.safetensors"]);
assert.equal(files.find((f) => f.path === "by-lfs.bin").lfs.oid, sha256(big));
const expanded = await all(hub.listFiles({ ...at, path: "a", expand: true }));
assert.equal(expanded[0].lastCommit.title, "Edit");
const [info] = await hub.pathsInfo({ ...at, paths: ["model.safetensors", "nothing"], expand: true });
assert.equal(info.size, weights.length);
assert.equal(info.lfs.oid, sha256(weights));
assert.ok(info.lastCommit.date instanceof Date || !isNaN(new Date(info.lastCommit.date)));

// ---- Downloads ----
assert.equal(await (await hub.downloadFile({ ...at, path: "a/hello.txt" })).text(), "hello again");
assert.equal(await (await hub.downloadFile({ ...at, path: "a/hello.txt", revision: head.commit.oid })).text(), "hello again");
assert.equal(await hub.downloadFile({ ...at, path: "first.txt" }), null);
for (const [path, content] of [["by-lfs.bin", big], ["by-xet.bin", big.subarray(1)], ["model.safetensors", weights]])
  for (const xet of [true, false]) {
    const blob = await hub.downloadFile({ ...at, path, xet });
    assert.equal(blob.size, content.length);
    assert.equal(sha256(await bytesOf(blob)), sha256(content));
    assert.deepEqual(await bytesOf(blob.slice(70_000, 70_100)), content.slice(70_000, 70_100));
  }
assert.match(await (await hub.downloadFile({ ...at, path: "by-lfs.bin", raw: true })).text(), /^version https:\/\/git-lfs/);
const known = await hub.fileDownloadInfo({ ...at, path: "by-lfs.bin" });
assert.equal(known.size, big.length);
assert.equal(known.etag, `"${sha256(big)}"`);
assert.equal((await hub.fileDownloadInfo({ ...at, path: "a/hello.txt" })).size, 11);
assert.equal(await hub.fileDownloadInfo({ ...at, path: "nothing" }), null);
assert.ok(await hub.fileExists({ ...at, path: "by-lfs.bin" }));
assert.ok(!(await hub.fileExists({ ...at, path: "nothing" })));
const parsed = await hub.parseSafetensorsMetadata({ ...at, computeParametersCount: true });
assert.deepEqual([parsed.sharded, parsed.header.w.shape, parsed.parameterCount], [false, [512, 1024], { F32: 512 * 1024 }]);

const cacheDir = `${folder}/cache`;
const file = await hub.downloadFileToCacheDir({ ...at, path: "by-xet.bin", cacheDir });
assert.equal(sha256(await readFile(file)), sha256(big.subarray(1)));
const snapshot = await hub.snapshotDownload({ ...at, cacheDir });
assert.equal((await readdir(snapshot)).length, 7);
assert.equal(await readFile(`${snapshot}/a/hello.txt`, "utf8"), "hello again");
const cached = await hub.scanCacheDir(cacheDir);
assert.deepEqual([cached.repos.length, cached.repos[0].id.name], [1, name]);

// ---- History and branches ----
const commits = await all(hub.listCommits({ ...at, batchSize: 3 }));
assert.equal(commits.length, await hub.countCommits(at));
assert.equal(commits.at(-1).title, "initial commit");
assert.ok(commits.some((commit) => commit.title === "Edit" && commit.authors[0].username === user));
await hub.createBranch({ ...at, branch: "side", revision: head.commit.oid });
assert.ok(await hub.fileExists({ ...at, path: "false.txt", revision: "side" }));
await hub.createBranch({ ...at, branch: "empty", empty: true });
assert.equal(await hub.downloadFile({ ...at, path: "README.md", revision: "empty" }), null);
await refused(hub.createBranch({ ...at, branch: "side" }), 409);
await hub.createBranch({ ...at, branch: "side", overwrite: true });
await hub.deleteBranch({ ...at, branch: "side" });
const pull = await hub.commit({ ...at, title: "Proposal", isPullRequest: true,
  operations: [{ operation: "addOrUpdate", path: "new.txt", content: new Blob(["new"]) }] });
const number = pull.pullRequestUrl.split("/").at(-1);
assert.equal(await (await hub.downloadFile({ ...at, path: "new.txt", revision: `refs/pr/${number}` })).text(), "new");

// ---- Lists and facts ----
const found = await all(hub.listModels({ ...who, search: { query: "javascript", owner: user }, additionalFields: ["sha", "tags", "author"] }));
assert.deepEqual([found.length, found[0].name, found[0].author], [1, name, user]);
const model = await hub.modelInfo({ ...who, name, additionalFields: ["sha", "siblings", "safetensors", "cardData"] });
assert.equal(model.id, made.id);
assert.equal(model.safetensors.total, 512 * 1024);
assert.equal(model.cardData.license, "mit");
const data = { type: "dataset", name: `${user}/javascript-data` }, space = { type: "space", name: `${user}/javascript-space` };
await hub.createRepo({ ...who, repo: data, visibility: "private" });
await hub.createRepo({ ...who, repo: space, sdk: "static" });
assert.deepEqual((await all(hub.listDatasets({ ...who, search: { query: "javascript-data" } }))).map((d) => [d.name, d.private]), [[data.name, true]]);
assert.deepEqual((await all(hub.listSpaces({ ...who, search: { query: "javascript-space" } }))).map((s) => [s.name, s.sdk]), [[space.name, "static"]]);
assert.equal((await hub.datasetInfo({ ...who, name: data.name, additionalFields: ["sha"] })).private, true);
assert.equal((await hub.spaceInfo({ ...who, name: space.name })).sdk, "static");
await refused(hub.datasetInfo({ hubUrl, name: data.name }), 401);

// ---- Collections ----
const { slug } = await hub.createCollection({ ...who, collection: { title: "From JavaScript", namespace: user, description: "Models", private: false } });
assert.deepEqual((await all(hub.listCollections({ ...who, search: { owner: [user], q: "JavaScript" } }))).map((c) => c.slug), [slug]);
await hub.deleteCollection({ ...who, slug });
assert.deepEqual(await all(hub.listCollections({ ...who, search: { owner: [user], q: "JavaScript" } })), []);

for (const one of [repo, data, space]) await hub.deleteRepo({ ...who, repo: one });
assert.ok(!(await hub.repoExists({ ...who, repo })));
console.log("done");
