"""Every stage and tool, and what takes long in C, ends soon on a signal: one line, no traceback, nothing left."""

import http.server
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdc import Index, interrupts
from sdc.cli import COMMANDS, main
from sdc.storage.heads import read_head
from sdc.storage.records import stage_record, write_record

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
# Seconds in which a process must have ended.
LIMIT = 5
RANDOM = np.random.default_rng()
HANDLED = 1 << signal.SIGTERM - 1


def caught(process):
    """Whether a process handles SIGTERM by now."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"SigCgt:\t(\w+)", status)[1], 16) & HANDLED


def of_session(process):
    """The processes of a session that live."""
    living = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_bytes().rpartition(b")")[2].split()[:4]
        except OSError:
            continue
        if int(session) == process.pid and state not in b"ZX":
            living.append(path.parent.name)
    return living


def start(command, log, **options):
    """Start a command in a session of its own and wait until it handles signals."""
    with open(log, "w") as file:
        process = subprocess.Popen(command, start_new_session=True, stdout=file, stderr=file, **options)
    while process.poll() is None and not caught(process):
        time.sleep(0.002)
    return process


def send(process, number):
    """Ctrl-C goes to all processes of a terminal, other signals to one; return when."""
    if process.poll() is None:
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    return time.monotonic()


def assert_ended(process, number, log, name, since):
    """Assert that a process ends as it should after a signal, and nothing lives on."""
    try:
        process.wait(since + LIMIT - time.monotonic())
        while of_session(process) and time.monotonic() < since + LIMIT:
            time.sleep(0.01)
        assert not of_session(process)
    finally:
        for other in of_session(process):
            os.kill(int(other), signal.SIGKILL)
    text = log.read_text()
    # A main thread that computes in C for too long is not there to die by the signal.
    assert process.returncode in (-number, 128 + number), text
    assert text.endswith(f"{name}: interrupted ({signal.Signals(number).name})\n"), text
    assert text.count("interrupted") == 1
    assert not re.search(r"Traceback|Exception|Error|Warning", text), text


def interrupt(command, name, folder):
    """Interrupt a command in each way, at random moments after it began to handle signals."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    for attempt in range(6):
        processes, sent = {}, {}
        for number in numbers:
            out = folder / f"{attempt}-{number}"
            out.mkdir()
            processes[number] = start([word.replace("out/", f"{out}/") for word in command], out / "log")
        began = time.monotonic()
        delays = {number: RANDOM.uniform(0, 2 / 2**attempt) for number in numbers}
        for number in sorted(numbers, key=delays.get):
            time.sleep(max(0, began + delays[number] - time.monotonic()))
            sent[number] = send(processes[number], number)
        for number, since in sent.items():
            out = folder / f"{attempt}-{number}"
            # What was done is tried again, and interrupted sooner. Python lets go of handlers while it shuts down.
            status = processes[number].wait(since + LIMIT - time.monotonic())
            text = (out / "log").read_text()
            done = (
                "done in" in text
                or (text and COMMANDS[command[3]].parent.name == "tools")
                or len(list(out.iterdir())) > 1
            )
            if status == 0 or (status == -number and done and "interrupted" not in text):
                continue
            assert_ended(processes[number], number, out / "log", name, since)
            numbers.remove(number)
        if not numbers:
            return
    raise AssertionError(f"{name} ended before any signal")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with work that takes long: vectors, codes and images; and a finished run of a few vectors."""
    folder = tmp_path_factory.mktemp("work")
    generator = np.random.default_rng(0)
    for name, rows in (("few", 200), ("many", 60_000)):
        vectors = generator.standard_normal((rows, 32)).astype(np.float32)
        np.savez(folder / f"{name}.npz", features=vectors, labels=np.arange(rows) % 10)
        run = folder / f"{name}/runs/features/imported/lsh/16bit/seed0"
        features = ("--manifest", f"{folder}/{name}.csv", "--features", f"{folder}/{name}", "--shards", "1")
        settings = f'{{"file": "{folder}/{name}.npz", "query": {rows // 30}}}'
        fitted = ("train", *features, "--method", "lsh", "--seed", "0", "--curve", f"{run}/curve.csv")
        for command in (
            ("prepare", "--dataset", "features", "--settings", settings, "--out", f"{folder}/{name}.csv"),
            ("extract", *features[:2], "--backbone", "imported", "--shard", "0", "--shards", "1",
             "--out", f"{folder}/{name}/0-of-1.h5"),
            (*fitted, "--bits", "4096", "--out", f"{run}/wide.safetensors"),
            (*fitted, "--bits", "16", "--out", f"{run}/head.safetensors"),
            ("encode", *features, "--head", f"{run}/head.safetensors", "--out", f"{run}/codes.h5"),
        ):  # fmt: skip
            assert main(command) == 0
    few = folder / "few/runs/features/imported/lsh/16bit/seed0"
    evaluate = ("evaluate", "--manifest", f"{folder}/few.csv", "--codes", f"{few}/codes.h5")
    assert main([*evaluate, "--out", f"{few}/metrics.json"]) == 0
    for name, rows in (("queries", 10_000), ("items", 200_000)):
        np.save(folder / f"{name}.npy", generator.integers(0, 256, (rows, 8), np.uint8))
        np.save(folder / f"{name}.labels.npy", np.arange(rows) % 10)
        precisions = (f"{row},0.{row}\n" for row in range(rows))
        (folder / f"{name}.csv").write_text("query,average_precision\n" + "".join(precisions))
    Index.build(np.load(folder / "items.npy")).save(folder / "index")
    indexed = ("--manifest", f"{folder}/few.csv", "--codes", f"{few}/codes.h5", "--head", f"{few}/head.safetensors")
    assert main(["index", *indexed, "--out", f"{folder}/few_index"]) == 0
    noise = Image.fromarray(generator.integers(0, 256, (600, 600, 3), np.uint8))
    images = [folder / f"images/{pet}/{number}.png" for pet in ("cat", "dog") for number in range(1000)]
    for path in images:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path == images[0]:
            noise.save(path, compress_level=1)
        else:
            path.hardlink_to(images[0])
    (folder / "album").mkdir()
    for number in range(20):
        small = Image.fromarray(generator.integers(0, 256, (20, 20, 3), np.uint8))
        small.save(folder / f"album/{number}.png")
    for root, name in (("images", "photographs"), ("album", "album")):
        settings = f'{{"root": "{folder}/{root}", "query": 10}}'
        assert main(["prepare", "--dataset", "folder", "--settings", settings, "--out", f"{folder}/{name}.csv"]) == 0
    album = ("--manifest", f"{folder}/album.csv")
    for command in (
        ("extract", *album, "--backbone", "pixels", "--shard", "0", "--shards", "1",
         "--out", f"{folder}/album.features/0-of-1.h5"),
        ("train", *album, "--features", f"{folder}/album.features", "--shards", "1", "--method", "lsh", "--seed", "0",
         "--bits", "16", "--curve", f"{folder}/album.curve.csv", "--out", f"{folder}/album.safetensors"),
    ):  # fmt: skip
        assert main(command) == 0
    Index.build(np.zeros((1, 2), np.uint8), head=read_head(folder / "album.safetensors")).save(folder / "album_index")
    rows = (f"0,{number},{number},0,1,cat/{number}.png\n" for number in range(1000))
    (folder / "retrieved.csv").write_text("query,rank,row,distance,relevant,path\n" + "".join(rows))
    facts = {"dataset": "folder", "backbone": "resnet18"}
    write_record(stage_record(folder, "evaluate"), "evaluate", facts, [folder / "retrieved.csv"])
    return folder


MANY = "many/runs/features/imported/lsh/16bit/seed0"
SELECTION = '{"datasets":["features"],"backbones":["imported"],"methods":["lsh"],"bits":[16],"seeds":[0]}'
VECTORS = "--manifest many.csv --features many --shards 1"
# Of each stage and tool, what takes it long.
LONG = {
    "prepare": '--dataset features --settings {"file":"many.npz","query":100} --out out/m.csv',
    "extract": '--manifest photographs.csv --backbone resnet18 --settings {"weights":"none"} --shard 0 --shards 1 '
    "--out out/f.h5",
    "train": f'{VECTORS} --method sdc --settings {{"epochs":1000}} --bits 64 --seed 0 --out out/h --curve out/c.csv',
    "encode": f"{VECTORS} --head {MANY}/wide.safetensors --out out/codes.h5",
    "evaluate": f"--manifest many.csv --codes {MANY}/codes.h5 --jobs 2 --out out/metrics.json",
    "aggregate": f"--results few --selection {SELECTION} --make {'runs ' * 40}"
    f"--out {' '.join(f'out/{number}.csv' for number in range(40))}",
    "compare": "items.csv items.csv",
    "datasets": 'check folder --root images --settings {"query":10}',
    "features": "export many --out out/x.parquet",
    "score": "--query-codes queries.npy --database-codes items.npy --query-labels queries.labels.npy "
    "--database-labels items.labels.npy --jobs 2 --out out/score.json",
    "index": f"--manifest many.csv --codes {MANY}/codes.h5 --head {MANY}/head.safetensors "
    '--settings {"engine":"hnsw"} --out out/index',
    "search": "--index few_index --features many.npz -k 10",
    "duplicates": "index --radius 8 --out out/groups.csv",
    "export": "postgresql index --out out/index.sql",
    "encode-images": "album.safetensors images --out out/codes.csv",
    "edit-index": "add album_index images",
    "serve": "--index index --port 0",
    "thumbnails": "--facts photographs.json --retrieved retrieved.csv --out out/sheet.png",
}  # fmt: skip


def test_every_command_that_takes_long_is_here():
    assert COMMANDS.keys() - LONG == {"methods", "backbones"}


@pytest.mark.parametrize("command", sorted(LONG))
def test_every_command_ends_on_signals(work, python, tmp_path, command, monkeypatch):
    monkeypatch.chdir(work)
    interrupt([python, "-m", "sdc", command, *LONG[command].split()], f"sdc {command}", tmp_path)
    assert not [*work.rglob("*.part"), *tmp_path.rglob("*.part")]


def test_of_two_at_once_one_writes(work, python, monkeypatch, tmp_path):
    monkeypatch.chdir(work)
    statuses = []
    # Unless one had ended before the other began.
    while not any(statuses):
        both = tmp_path / f"both{len(statuses)}"
        command = LONG["prepare"].replace("out/", f"{both}/").split()
        words = [python, "-m", "sdc", "prepare", *command]
        processes = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        texts = [process.communicate()[1] for process in processes]
        statuses += [process.returncode for process in processes]
    assert sorted(statuses[-2:]) == [0, 2]
    line = texts[statuses[-2:].index(2)].splitlines()[-1]
    assert re.match(r"sdc prepare: error: .*/m\.\S+: another process has written it meanwhile", line)
    assert main(["prepare", *command[:-1], f"{tmp_path}/alone/m.csv"]) == 0
    files = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in (both, tmp_path / "alone")]
    assert files[0] == files[1]


# Each prints a line when it is at work, which then takes long.
LIBRARY = {
    "a large product": "import torch; x = torch.ones(8192, 8192); print(flush=True); x @ x",
    "threads at the end": "import concurrent.futures as futures, time; pool = futures.ThreadPoolExecutor();"
    "pool.submit(time.sleep, 60); print(flush=True)",
    "HDF5": """
import numpy as np
from sdc.storage.hdf5 import writing_h5
with writing_h5("x.h5", {}) as writer:
    writer.create("x", (10**9,), np.int64)
    print(flush=True)
    while True:
        writer.append(x=np.zeros(1000, np.int64))
""",
    "imports": "print(flush=True); import torch, torchvision, pandas, matplotlib.pyplot, time; time.sleep(9)",
    "a download": """
import pathlib, sys
from sdc.datasets.download import fetch
fetch(pathlib.Path("data"), ["file"], {"file": "0" * 32}, [sys.argv[1]])
""",
}


class Stalling(http.server.BaseHTTPRequestHandler):
    """Sends half of a file, and then nothing."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(bytes(500_000))
        self.wfile.flush()
        self.server.stop.wait()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stalling) as server:
        server.stop = threading.Event()
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.stop.set()
        server.shutdown()


@pytest.mark.parametrize(
    ("what", "number"),
    [("a large product", signal.SIGTERM), ("HDF5", signal.SIGHUP)]
    + [(what, number) for what in [*LIBRARY][1:] for number in (signal.SIGINT, signal.SIGTERM)],
)
def test_whatever_it_does(what, number, python, tmp_path, monkeypatch, site):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    log = tmp_path / "log"
    program = f"from sdc import interrupts; interrupts.end_on_signals('sdc test')\n{LIBRARY[what]}"
    process = start([python, "-c", program, site], log)
    begun = (lambda: list(tmp_path.glob("data.part/*.part"))) if what == "a download" else log.read_text
    while process.poll() is None and not begun():
        time.sleep(0.01)
    time.sleep(RANDOM.uniform(0, 0.3))
    since = send(process, number)
    send(process, number)  # Some are impatient.
    assert_ended(process, number, log, "sdc test", since)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {"log", ".data.lock"}


PROGRAM = (
    "import time; from sdc import interrupts; interrupts.end_on_signals('sdc test'); print(flush=True); time.sleep"
)


def test_what_is_ignored_stays_ignored(python, tmp_path):
    process = start(["nohup", python, "-c", f"{PROGRAM}(0.5)"], tmp_path / "log")
    send(process, signal.SIGHUP)
    assert process.wait() == 0


@pytest.mark.parametrize("when", ["at work", "before it looks", "before it looks, and nobody has asked how it ended"])
def test_ends_with_its_snakemake(python, tmp_path, when):
    snakemake = (
        "import os, subprocess, sys; from sdc import interrupts; os.environ[interrupts.VARIABLE] = "
        "interrupts.own_process(); subprocess.run(['bash', '-c', sys.argv[1]])"
    )
    job = f"echo; sleep {0 if when == 'at work' else 0.3}; {python} -c {shlex.quote(f'{PROGRAM}(60)')}; exit $?"
    log = tmp_path / "log"
    with open(log, "w") as file:
        process = subprocess.Popen([python, "-c", snakemake, job], start_new_session=True, stdout=file, stderr=file)
    while len(log.read_text()) < (2 if when == "at work" else 1):
        time.sleep(0.01)
    process.kill()
    began = time.monotonic()
    if "nobody" not in when:
        process.wait()
    while of_session(process) and time.monotonic() < began + LIMIT:
        time.sleep(0.01)
    assert not of_session(process)
    assert "sdc test: interrupted (Snakemake has ended)\n" in log.read_text()
    process.wait()


def test_other_processes_are_no_snakemake(python, monkeypatch):
    other, ended = subprocess.Popen(["sleep", "60"]), subprocess.Popen(["true"])
    ended.wait()
    own = interrupts.own_process()
    namespace = own.partition(":")[2]
    for value in (own, "", "x", f"{ended.pid}:1", f"{other.pid}:{namespace}", f"x:{namespace}", f"{2**40}:{namespace}"):
        monkeypatch.setenv(interrupts.VARIABLE, value)
        done = subprocess.run([python, "-c", f"{PROGRAM}(0.2)"], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), value
    other.kill()
    other.wait()
    monkeypatch.setenv(interrupts.VARIABLE, f"{ended.pid}:{namespace}")
    done = subprocess.run([python, "-c", f"{PROGRAM}(60)"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "sdc test: interrupted (Snakemake has ended)\n")
