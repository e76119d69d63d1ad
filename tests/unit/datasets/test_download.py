import concurrent.futures
import gzip
import hashlib
import http.server
import io
import multiprocessing
import os
import signal
import tarfile
import threading
import time

import pytest

from sdc.datasets.download import fetch
from sdc.errors import SDCError

FILES = {"train": os.urandom(200_000), "test": b"second"}


def tar_of(members):
    """A tar.gz archive of files by name."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def md5_of(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Site:
    """Files behind a loopback address; ``cut`` sends half of each, ``stall`` half and then nothing."""

    def __init__(self):
        self.files, self.requests, self.manner = {}, [], "whole"
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.requests.append(self.path)
                content = site.files.get(self.path, b"")
                self.send_response(200 if content else 404)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                whole = site.manner == "whole"
                self.wfile.write(content if whole else content[: len(content) // 2])
                self.wfile.flush()
                if site.manner == "stall":
                    time.sleep(60)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.address = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    site = Site()
    site.archive = tar_of({f"set/{name}": content for name, content in FILES.items()})
    site.files["/set.tar.gz"] = site.archive
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "data/set"


def fetch_archive(site, target):
    fetch(target, list(FILES), {"set.tar.gz": md5_of(site.archive)}, (site.address,))


def contents(target):
    return {path.name: path.read_bytes() for path in target.glob("*")}


def test_archive_is_unpacked_and_nothing_else_is_left(site, target):
    fetch_archive(site, target)
    assert contents(target) == FILES
    assert sorted(path.name for path in target.parent.iterdir()) == [".set.lock", "set"]


def test_files_that_are_published_one_by_one(site, target):
    packed = {f"{name}.gz": gzip.compress(content) for name, content in FILES.items()}
    site.files = {f"/mirror/{name}": content for name, content in packed.items()}
    target.mkdir(parents=True)
    (target / "test.gz").write_bytes(b"mine")
    published = {name: md5_of(content) for name, content in packed.items()}
    fetch(target, list(packed), published, (f"{site.address}gone/", f"{site.address}mirror/"))
    assert contents(target) == {**packed, "test.gz": b"mine"}
    assert set(site.requests) == {"/gone/train.gz", "/mirror/train.gz"}


@pytest.mark.parametrize(("manner", "why"), [("cut", "IncompleteRead"), ("whole", "does not match its checksum, MD5 ")])
def test_half_a_file_or_another_is_not_taken(site, target, manner, why):
    site.manner = manner
    site.files["/set.tar.gz"] = site.archive if manner == "cut" else tar_of({"set/train": b"", "set/test": b""})
    with pytest.raises(SDCError, match=rf"set: is not complete and cannot be downloaded \(http.*set.tar.gz: .*{why}"):
        fetch_archive(site, target)
    assert not target.exists()
    site.manner, site.files["/set.tar.gz"] = "whole", site.archive
    fetch_archive(site, target)
    assert contents(target) == FILES


def test_no_server_says_what_to_do(target):
    with pytest.raises(SDCError, match=r"set: .* cannot be downloaded .*set.tar.gz.*put the files there yourself"):
        fetch(target, ["train"], {"set.tar.gz": "0" * 32}, ("http://127.0.0.1:9/",))


@pytest.mark.parametrize("member", [{"name": "../evil"}, {"name": "set/../../evil"}, {"linkname": "/etc/hostname"}])
def test_archive_may_not_lead_elsewhere(site, target, member):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        described = tarfile.TarInfo(member.get("name", "set/train"))
        described.type = tarfile.SYMTYPE if "linkname" in member else tarfile.REGTYPE
        described.linkname = member.get("linkname", "")
        archive.addfile(described)
    site.archive = site.files["/set.tar.gz"] = packed.getvalue()
    with pytest.raises(SDCError, match=r"set: .* cannot be downloaded \(.*(outside the destination|absolute path)"):
        fetch_archive(site, target)
    assert not target.exists()
    assert not list(target.parent.parent.rglob("evil"))


def test_absolute_paths_of_an_archive_are_taken_as_relative(site, target, tmp_path):
    site.archive = site.files["/set.tar.gz"] = tar_of({f"{tmp_path}/evil": b"x"})
    with pytest.raises(SDCError, match=r"No such file"):
        fetch_archive(site, target)
    assert not (tmp_path / "evil").exists()


def test_archive_without_the_files(site, target):
    site.archive = site.files["/set.tar.gz"] = tar_of({"set/train": b"x"})
    with pytest.raises(SDCError, match=r"set: is not complete and cannot be downloaded \(.*No such file.*test"):
        fetch_archive(site, target)


def test_folder_that_cannot_be_written(site, tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(SDCError, match=r"data/set: .* cannot be downloaded \(.*data"):
        fetch_archive(site, tmp_path / "data/set")


def test_killed_job_leaves_nothing_that_is_taken_for_whole(site, target):
    site.manner = "stall"
    job = multiprocessing.get_context("fork").Process(target=fetch_archive, args=(site, target))
    job.start()
    part = target.with_name("set.part")
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size for path in part.glob("*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(job.pid, signal.SIGKILL)
    job.join()
    (begun,) = part.iterdir()
    assert begun.name != "set.tar.gz"
    assert 0 < begun.stat().st_size < len(site.archive)
    assert not target.exists()
    site.manner = "whole"
    fetch_archive(site, target)
    assert contents(target) == FILES
    assert not part.exists()


def test_killed_while_unpacking_goes_on_from_the_archive(site, target):
    part = target.with_name("set.part")
    (part / "set").mkdir(parents=True)
    (part / "set.tar.gz").write_bytes(site.archive)
    (part / "set/train").write_bytes(FILES["train"][:100])
    target.mkdir()
    (target / "test").write_bytes(FILES["test"])
    fetch_archive(site, target)
    assert contents(target) == FILES
    assert site.requests == []


def test_of_many_jobs_one_downloads(site, target):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: fetch_archive(site, target), range(4)))
    assert len(site.requests) == 1
    assert contents(target) == FILES
