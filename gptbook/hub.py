"""A small stand-in for the Hugging Face hub: its protocol, without a network.

    with Hub() as hub:
        api = HfApi(endpoint=hub.endpoint, token=hub.token)
        api.create_repo("mia/tales")
        api.upload_folder(repo_id="mia/tales", folder_path="models/tales")

It speaks as much of the protocol as the library `huggingface_hub` needs to push models
and to fetch them. For teaching and tests: it listens on 127.0.0.1 alone, keeps
everything in memory and nothing on the disk, and who writes has to show its token.
What the real hub has besides: users, datasets, pull requests, other stores for large
files (Git LFS, Xet), a check of the model card, a site.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")  # of a user, a repository, a tag
COMMIT = re.compile(r"[0-9a-f]{40}")  # the id of a commit, which no tag may look like
MAX_BODY = 500_000_000  # bytes that one request may bring


class Refused(Exception):
    """A request that gets no for an answer: the HTTP status, the hub's code, why.

    headers and answer: what the client is told besides.
    """

    def __init__(self, status, code, why, headers=(), answer=()):
        super().__init__(why)
        told = {"X-Error-Code": code, "X-Error-Message": ascii(why)[1:-1]}
        self.status, self.headers = status, told | dict(headers)
        self.answer = {"error": why} | dict(answer)


def blob_id(content):
    """What git calls a file of this content: a SHA-1 of its length and its bytes."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def checked_path(path):
    """The path of a file in a repository; Refused if it could lead out of it."""
    bad = path.startswith("/") or re.search(r"[\\:\0-\x1f]", path)
    if bad or any(p.lower() in ("", ".", "..", ".git") for p in path.split("/")):
        raise Refused(400, "BadPath", f"{path!r} is no path in a repository")
    return path


class Repository:
    """Commits, each with all its files, and names for some: the branch main, tags."""

    def __init__(self):
        self.commits = {}  # commit id -> {path: content}
        self.refs = {}  # "main" or a tag -> commit id
        self.add("initial commit", {})

    def add(self, message, files):
        """A new commit on main; its id is a hash of parent, message and files."""
        blobs = {path: blob_id(content) for path, content in sorted(files.items())}
        told = json.dumps([self.refs.get("main"), message, blobs])
        commit = hashlib.sha1(told.encode()).hexdigest()
        self.commits[commit] = files
        self.refs["main"] = commit
        return commit

    def resolve(self, revision):
        """A branch, a tag or a commit id -> the commit id."""
        commit = self.refs.get(revision, revision)
        if commit not in self.commits:
            raise Refused(404, "RevisionNotFound", f"no revision {revision}")
        return commit

    def change(self, revision, lines):
        """The commit that a request describes, a JSON object a line."""
        if revision != "main":
            raise Refused(404, "RevisionNotFound", f"no branch {revision}")
        message, files = "", dict(self.commits[self.refs["main"]])
        for line in lines:
            match line:
                case {"key": "header", "value": {"summary": message, **others}}:
                    parent = others.get("parentCommit", self.refs["main"])
                    if parent != self.refs["main"]:
                        raise Refused(412, "Moved", f"main is no longer at {parent}")
                case {"key": "file", "value": {"path": path, "content": content}}:
                    files[checked_path(path)] = base64.b64decode(content, validate=True)
                case {"key": "deletedFile", "value": {"path": path}}:
                    if files.pop(path, None) is None:
                        raise Refused(404, "EntryNotFound", f"no file {path}")
                case _:
                    raise Refused(400, "BadLine", "this hub knows file, deletedFile")
        for path in files:
            folders = path.split("/")[:-1]
            if any("/".join(folders[: n + 1]) in files for n in range(len(folders))):
                raise Refused(400, "BadPath", f"{path!r} lies below another file")
        return self.add(message, files)


class Hub:
    """The server: `endpoint` is its address, `token` allows to write.

    requests: what it was asked, in order, as "GET /api/models/mia/tales", but for
    writing without the token;
    sent: how many bytes it answered with, headers aside;
    repositories: {"user/name": Repository}.
    """

    def __init__(self):
        self.token = f"hf_{secrets.token_hex(16)}"
        self.repositories, self.lock = {}, threading.Lock()
        self.requests, self.sent = [], 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)  # any free port
        self.server.hub = self
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def start(self):
        """Answers from now on, in a thread of its own."""
        serve = self.server.serve_forever
        threading.Thread(target=serve, args=(0.02,), daemon=True).start()
        return self

    def stop(self):
        """Answers no more, and gives the port back."""
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def repository(self, user, name):
        try:
            return self.repositories[f"{user}/{name}"]
        except KeyError:
            raise Refused(404, "RepoNotFound", f"no model {user}/{name}") from None

    def answer(self, method, parts, body):
        """The protocol: (headers, content) for a request; Refused where it has none.

        parts: the path of the address, cut at each "/"; content: bytes, or for JSON
        anything else.
        """
        match [method, *parts]:
            case ["POST", "api", "validate-yaml"]:  # the head of a model card
                return {}, {"errors": [], "warnings": []}
            case ["POST", "api", "repos", "create"]:
                return {}, self.create(json.loads(body))
            case ["GET", "api", "models", user, name]:
                return {}, self.info(user, name, "main")
            case ["GET", "api", "models", user, name, "revision", revision]:
                return {}, self.info(user, name, revision)
            case ["GET", "api", "models", user, name, "tree", revision]:
                return {}, self.tree(user, name, revision)
            case ["POST", "api", "models", user, name, "preupload", revision]:
                return {}, self.preupload(user, name, revision, json.loads(body))
            case ["POST", "api", "models", user, name, "commit", revision]:
                lines = map(json.loads, body.splitlines())
                commit = self.repository(user, name).change(revision, lines)
                url = f"{self.endpoint}/{user}/{name}/commit/{commit}"
                return {}, {"commitOid": commit, "commitUrl": url}
            case ["POST", "api", "models", user, name, "tag", revision]:
                return {}, self.tag(user, name, revision, json.loads(body)["tag"])
            case ["GET" | "HEAD", user, name, "resolve", revision, *path]:
                return self.file(user, name, revision, "/".join(path))
        raise Refused(404, "NotFound", "this small hub doesn't know this address")

    def create(self, settings):
        user, name = settings.get("organization") or "me", settings["name"]
        if settings.get("type") not in (None, "model"):
            raise Refused(400, "BadType", "this hub has models only")
        if not NAME.fullmatch(user) or not NAME.fullmatch(name):
            raise Refused(400, "BadName", f"{user}/{name} is no name of a repository")
        url = {"url": f"{self.endpoint}/{user}/{name}"}
        if f"{user}/{name}" in self.repositories:
            raise Refused(409, "Exists", f"{user}/{name} exists already", answer=url)
        self.repositories[f"{user}/{name}"] = Repository()
        return url

    def info(self, user, name, revision):
        repository = self.repository(user, name)
        commit = repository.resolve(revision)
        files = [{"rfilename": path} for path in sorted(repository.commits[commit])]
        return {"id": f"{user}/{name}", "sha": commit, "siblings": files}

    def tree(self, user, name, revision):
        """Each file of a commit, with its size and git's name for its content."""
        repository = self.repository(user, name)
        files = sorted(repository.commits[repository.resolve(revision)].items())
        return [
            {"type": "file", "path": path, "size": len(data), "oid": blob_id(data)}
            for path, data in files
        ]

    def preupload(self, user, name, revision, asked):
        """How each file is to come: "regular", within the commit, and what is there."""
        here = {file["path"]: file["oid"] for file in self.tree(user, name, revision)}
        files = [
            {
                "path": file["path"],
                "uploadMode": "regular",
                "shouldIgnore": False,
                "oid": here.get(file["path"]),
            }
            for file in asked["files"]
        ]
        return {"files": files}

    def tag(self, user, name, revision, tag):
        repository = self.repository(user, name)
        if not NAME.fullmatch(tag) or COMMIT.fullmatch(tag):
            raise Refused(400, "BadName", f"{tag!r} is no name of a tag")
        if tag in repository.refs:
            raise Refused(409, "Exists", f"{tag} exists already")
        repository.refs[tag] = repository.resolve(revision)
        return {}

    def file(self, user, name, revision, path):
        repository = self.repository(user, name)
        commit = repository.resolve(revision)
        headers = {"X-Repo-Commit": commit}
        content = repository.commits[commit].get(path)
        if content is None:
            why = f"no file {path} in {revision}"
            raise Refused(404, "EntryNotFound", why, headers)
        return headers | {"ETag": f'"{blob_id(content)}"'}, content


class Handler(BaseHTTPRequestHandler):
    """From HTTP to `Hub.answer` and back."""

    timeout = 30  # seconds for a client to say what it wants

    def do_GET(self):
        hub, path = self.server.hub, urlsplit(self.path).path
        try:
            token = self.headers.get("Authorization", "").encode()
            allowed = secrets.compare_digest(token, f"Bearer {hub.token}".encode())
            if self.command == "POST" and not allowed:
                raise Refused(403, "Forbidden", "to write, show the token of this hub")
            body = self.body()
            # Decoded after it is cut, for a revision may hold a "/".
            parts = [unquote(part) for part in path.strip("/").split("/")]
            with hub.lock:  # one at a time
                hub.requests.append(f"{self.command} {path}")
                headers, content = hub.answer(self.command, parts, body)
            self.reply(200, headers, content)
        except Refused as no:
            self.reply(no.status, no.headers, no.answer)
        except (LookupError, TypeError, AttributeError, ValueError, RecursionError):
            self.reply(400, {}, {"error": "this request can't be read"})

    do_HEAD = do_POST = do_GET

    def body(self):
        length = int(self.headers.get("Content-Length", 0))
        if not 0 <= length <= MAX_BODY:
            raise Refused(413, "TooLarge", f"at most {MAX_BODY} bytes a request")
        return self.rfile.read(length)

    def reply(self, status, headers, content):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
            headers = {"Content-Type": "application/json", **headers}
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            with self.server.hub.lock:
                self.server.hub.sent += len(content)
            self.wfile.write(content)

    def log_message(self, *_):
        """Nothing on the screen: `Hub.requests` has it."""
