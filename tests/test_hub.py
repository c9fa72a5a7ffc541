"""The real client, `huggingface_hub`, fetches from the book's hub and pushes to it."""

import http.client
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from gptbook.hub import Hub, Refused, blob_id, checked_path

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "book" / "models" / "tales"
REPO = "mia/tales"


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    """The client may ask, and no proxy stands between this computer and itself."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def hub():
    with Hub() as hub:
        yield hub


@pytest.fixture
def api(hub):
    return HfApi(endpoint=hub.endpoint, token=hub.token)


@pytest.fixture
def upload(tmp_path):
    """A small folder to push."""
    folder = tmp_path / "upload"
    (folder / "deep").mkdir(parents=True)
    (folder / "config.json").write_bytes(b'{"n_layer": 4}\n')
    (folder / "weights.bin").write_bytes(bytes(range(256)) * 40)
    (folder / "deep" / "ünï code.txt").write_bytes("米娅".encode())
    (folder / "README.md").write_bytes(b"---\nlicense: mit\n---\n# A card\n")
    return folder


@pytest.fixture
def pushed(api, upload):
    """The name of the first commit."""
    api.create_repo(REPO)
    return api.upload_folder(repo_id=REPO, folder_path=upload).oid


@pytest.fixture
def here(hub, tmp_path):
    return dict(repo_id=REPO, endpoint=hub.endpoint, cache_dir=tmp_path / "cache")


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def test_blob_id_is_gits():
    assert blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert blob_id(b"red") == "46f29e8eb3c70a7a5a7975f78bae7738088bc9e7"


# Push, then pull


def test_what_was_pushed_is_fetched(hub, upload, pushed, here):
    assert contents(snapshot_download(**here)) == contents(upload)
    path = hf_hub_download(filename="deep/ünï code.txt", **here)
    assert Path(path).read_text("utf-8") == "米娅"
    assert (here["cache_dir"] / "models--mia--tales/refs/main").read_text() == pushed


def test_a_second_download_comes_from_the_cache(hub, pushed, here):
    first = snapshot_download(**here)
    hub.requests.clear()
    assert snapshot_download(**here) == first
    assert hub.requests == ["GET /api/models/mia/tales/revision/main"]
    hub.requests.clear()
    assert snapshot_download(revision=pushed, **here) == first
    assert hub.requests == []


def test_a_pinned_revision_stays_when_main_moves(hub, api, upload, pushed, here):
    old = contents(upload)
    (upload / "config.json").write_bytes(b'{"n_layer": 5}\n')
    second = api.upload_folder(repo_id=REPO, folder_path=upload).oid
    assert second != pushed
    assert contents(snapshot_download(revision=pushed, **here)) == old
    hub.requests.clear()
    assert contents(snapshot_download(**here)) == contents(upload)
    fetched = [line for line in hub.requests if line.startswith("GET /mia")]
    assert fetched == [f"GET /mia/tales/resolve/{second}/config.json"]  # no other blob


def test_a_tag_is_a_revision_and_stays(api, upload, pushed, here):
    api.create_tag(REPO, tag="v1")
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_tag(REPO, tag="v1")
    (upload / "config.json").write_bytes(b"{}")
    api.upload_folder(repo_id=REPO, folder_path=upload)
    path = hf_hub_download(filename="config.json", revision="v1", **here)
    assert Path(path).parent.name == pushed
    assert Path(path).read_bytes() == b'{"n_layer": 4}\n'


def test_an_unchanged_folder_makes_no_commit(hub, api, upload, pushed):
    again = api.upload_folder(repo_id=REPO, folder_path=upload)
    assert again.oid == pushed
    assert len(hub.repositories[REPO].commits) == 2  # the empty one, and ours


def test_the_same_pushes_make_the_same_commit(upload, pushed):
    with Hub() as other:
        api = HfApi(endpoint=other.endpoint, token=other.token)
        api.create_repo(REPO)
        assert api.upload_folder(repo_id=REPO, folder_path=upload).oid == pushed


def test_a_file_is_deleted_and_the_history_keeps_it(api, pushed, here):
    api.delete_file("weights.bin", repo_id=REPO)
    assert "weights.bin" not in contents(snapshot_download(**here))
    assert "weights.bin" in contents(snapshot_download(revision=pushed, **here))


def test_a_commit_on_an_old_parent_is_refused(api, upload, pushed):
    (upload / "config.json").write_bytes(b"{}")
    api.upload_folder(repo_id=REPO, folder_path=upload)
    (upload / "config.json").write_bytes(b"[]")
    with pytest.raises(HfHubHTTPError, match="412"):
        api.upload_folder(repo_id=REPO, folder_path=upload, parent_commit=pushed)


def test_the_list_of_files_and_the_info(api, upload, pushed):
    assert sorted(api.list_repo_files(REPO)) == sorted(contents(upload))
    assert api.model_info(REPO).sha == pushed
    sizes = {f.path: f.size for f in api.list_repo_tree(REPO, recursive=True)}
    assert sizes == {path: len(data) for path, data in contents(upload).items()}


# Without the hub


def test_offline_the_cache_is_enough(hub, pushed, here):
    folder = snapshot_download(**here)
    hub.requests.clear()
    assert snapshot_download(local_files_only=True, **here) == folder
    path = hf_hub_download(filename="config.json", local_files_only=True, **here)
    assert Path(path).parent == Path(folder)
    assert hub.requests == []


def test_offline_with_an_empty_cache_says_so(pushed, here):
    with pytest.raises(LocalEntryNotFoundError):
        hf_hub_download(filename="config.json", local_files_only=True, **here)


def test_when_the_hub_is_gone_the_cache_is_used(pushed, here, tmp_path):
    with Hub() as other:
        api = HfApi(endpoint=other.endpoint, token=other.token)
        api.create_repo(REPO)
        api.upload_file(path_or_fileobj=b"x", path_in_repo="a.txt", repo_id=REPO)
        there = here | dict(endpoint=other.endpoint, cache_dir=tmp_path / "other")
        path = hf_hub_download(filename="a.txt", **there)
    assert hf_hub_download(filename="a.txt", **there) == path


# What is not there


def test_a_missing_file(pushed, here):
    with pytest.raises(RemoteEntryNotFoundError, match="no file model.bin in main"):
        hf_hub_download(filename="model.bin", **here)
    assert (here["cache_dir"] / f"models--mia--tales/.no_exist/{pushed}").exists()


@pytest.mark.parametrize("revision", ["v9", "refs/pr/1", "0" * 40])
def test_a_revision_that_is_not_there(pushed, here, revision):
    with pytest.raises(RevisionNotFoundError, match=f"no revision {revision}"):
        hf_hub_download(filename="config.json", revision=revision, **here)


def test_a_repository_that_is_not_there(hub, here, api, upload):
    with pytest.raises(RepositoryNotFoundError, match="no model mia/tales"):
        hf_hub_download(filename="config.json", **here)
    with pytest.raises(RepositoryNotFoundError):
        api.upload_folder(repo_id=REPO, folder_path=upload)


# Who may write what


@pytest.mark.parametrize("token", [False, "hf_wrong"])
def test_without_the_token_nothing_is_written(hub, pushed, upload, token):
    stranger = HfApi(endpoint=hub.endpoint, token=token)
    with pytest.raises(HfHubHTTPError, match="show the token"):
        stranger.create_repo("mia/other")
    (upload / "config.json").write_bytes(b"stolen")
    with pytest.raises(HfHubHTTPError):
        stranger.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=REPO)
    assert list(hub.repositories) == [REPO]
    assert list(hub.repositories[REPO].refs.values()) == [pushed]


def test_a_repository_is_created_once(api, pushed):
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo(REPO)
    assert api.create_repo(REPO, exist_ok=True).repo_id == REPO


def test_it_listens_on_this_computer_alone(hub):
    assert hub.server.server_address[0] == "127.0.0.1"


BAD_PATHS = ["../x", "a/../../x", "/etc/passwd", "a//b", ".", "", "a/./b", "a\\b",
             "C:x", ".git/config", ".GIT/config", "a\0b", "a\nb", "a/"]  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_that_leads_out_is_refused(path):
    with pytest.raises(Refused, match="no path in a repository"):
        checked_path(path)


@pytest.mark.parametrize("path", ["a", "a/b.json", "..a", ".gitattributes", "ünï 1"])
def test_an_honest_path_is_taken(path):
    assert checked_path(path) == path


def ask(hub, method, path, body=None, token=True):
    """Status and answer of a request that the client would never send."""
    connection = http.client.HTTPConnection("127.0.0.1", hub.server.server_port)
    headers = {"Authorization": f"Bearer {hub.token}"} if token else {}
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    return response.status, answer


def lines(path, content="eA=="):
    header = {"key": "header", "value": {"summary": "x"}}
    file = {"key": "file", "value": {"path": path, "content": content}}
    return "\n".join(map(json.dumps, [header, file])).encode()


COMMIT = f"/api/models/{REPO}/commit/main"


@pytest.mark.parametrize("path", BAD_PATHS)
def test_no_commit_has_such_a_path(hub, pushed, path):
    assert ask(hub, "POST", COMMIT, lines(path))[0] == 400
    assert hub.repositories[REPO].refs["main"] == pushed


@pytest.mark.parametrize("path", [
    f"/{REPO}/resolve/main/../../../../../../etc/passwd",
    f"/{REPO}/resolve/main/%2e%2e/%2e%2e/etc/passwd",
    f"/{REPO}/resolve/main/..%2f..%2fetc%2fpasswd",
    f"/{REPO}/resolve/main//etc/passwd",
    "/../../etc/passwd",
])  # fmt: skip
def test_no_file_of_the_computer_is_sent(hub, pushed, path):
    status, answer = ask(hub, "GET", path)
    assert status == 404 and b"root:" not in answer


@pytest.mark.parametrize("method, path, body, status", [
    ("POST", COMMIT, b"no json", 400),
    ("POST", COMMIT, b'{"key": "header"}', 400),
    ("POST", COMMIT, lines("a", "not base64!"), 400),
    ("POST", COMMIT, b'{"key": "lfsFile", "value": {"path": "a"}}', 400),
    ("POST", COMMIT.replace("main", "other"), lines("a"), 404),
    ("POST", "/api/repos/create", b'{"organization": "mia", "name": ".."}', 400),
    ("POST", "/api/repos/create", b'{"organization": "a/b", "name": "c"}', 400),
    ("POST", "/api/repos/create", b'{"name": "c", "type": "dataset"}', 400),
    ("POST", "/api/repos/create", b"[]", 400),
    ("POST", f"/api/models/{REPO}/tag/main", b'{"tag": "../x"}', 400),
    ("POST", f"/api/models/{REPO}/tag/main", b'{"tag": "%s"}' % (40 * b"a"), 400),
    ("POST", COMMIT, lines("config.json/below"), 400),
    ("POST", COMMIT, 10**5 * b"[", 400),
    ("GET", "/", None, 404),
    ("GET", "/%00%ff", None, 404),
    ("GET", f"/api/models/{REPO}/commit/main", None, 404),
])  # fmt: skip
def test_a_strange_request_gets_an_answer(hub, pushed, method, path, body, status):
    assert ask(hub, method, path, body)[0] == status
    assert ask(hub, "GET", f"/api/models/{REPO}")[0] == 200  # and it is still there
    assert hub.repositories[REPO].refs["main"] == pushed


def test_a_body_that_is_too_large_is_not_read(hub):
    connection = http.client.HTTPConnection("127.0.0.1", hub.server.server_port)
    connection.putrequest("POST", "/api/repos/create")
    connection.putheader("Authorization", f"Bearer {hub.token}")
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


# transformers, by name


def test_from_pretrained_takes_a_name_and_then_needs_no_hub(hub, api, tmp_path):
    upload = tmp_path / "model"
    upload.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.copy(MODEL / name, upload)
    api.create_repo(REPO)
    commit = api.upload_folder(repo_id=REPO, folder_path=upload).oid
    program = f"""
import torch
from transformers import AutoTokenizer, GPT2LMHeadModel
model = GPT2LMHeadModel.from_pretrained("{REPO}", revision="{commit}")
tokenizer = AutoTokenizer.from_pretrained("{REPO}", revision="{commit}")
print(model.num_parameters(), tokenizer("Mia lost her red ball.").input_ids)
"""
    env = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0",
           "HF_HUB_CACHE": str(tmp_path / "hub")}  # fmt: skip

    def run(**more):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=env | more, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    online = run()
    assert online.startswith("957184 [")
    assert f"GET /{REPO}/resolve/{commit}/model.safetensors" in hub.requests
    hub.requests.clear()
    assert run(HF_HUB_OFFLINE="1") == online
    assert hub.requests == []
