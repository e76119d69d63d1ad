"""The table through Snakemake's Kubernetes plugin and a bucket, with pods killed on the way.

The API of the cluster is pretended (see ``cluster``), the store is moto's S3, and everything between them is real.
"""

import functools
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import torch
from torchvision.models import get_model

from tests.support.workflow import ARITHMETIC, Workflow, copied, timeless, until

pytestmark = pytest.mark.kubernetes
moto = pytest.importorskip("moto.server")
pytest.importorskip("snakemake_executor_plugin_kubernetes")
pytest.importorskip("snakemake_storage_plugin_s3")
import boto3  # noqa: E402

from tests.kubernetes.cluster import KILLED, Cluster, quantity  # noqa: E402

REPORT = "results/report.html"
BACKBONE = "resnet18"
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


@pytest.fixture
def cluster(tmp_path):
    # pip finds packages there as it does here.
    settings = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    with Cluster(tmp_path / "cluster", {**ARITHMETIC, **settings, "PATH": PATH}) as started:
        yield started


@pytest.fixture
def store():
    """The address of an S3 server, and a client of it."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    requests.post(f"{address}/moto-api/reset", timeout=60)  # what a test before has stored
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=address, **keys)
    client.create_bucket(Bucket="bucket")
    yield address, client
    server.stop()


@pytest.fixture
def change(tmp_path):
    """A run whose backbone has weights that lie on a volume and not in the store."""
    torch.manual_seed(0)
    torch.save(get_model(BACKBONE).state_dict(), tmp_path / "weights.pth")
    return {
        "run": {"backbones": [BACKBONE], "methods": ["itq", "sdc"], "bits": [16, 24]},
        "backbones": {BACKBONE: {"weights": str(tmp_path / "weights.pth"), "resize": 32, "crop": 32}},
    }


@pytest.fixture
def submitted(tmp_path, cluster, store):
    """``submitted(change, *arguments)``: start a run whose jobs are pods, with ``log.txt``; returns the process."""
    started = []

    def start(change, *arguments):
        clone = copied(tmp_path / "clone")
        subprocess.run(["git", "init", "--quiet"], cwd=clone, check=True)
        subprocess.run(["git", "add", "--all"], cwd=clone, check=True)
        workflow = Workflow(clone, root=clone)  # pods are sent what lies there, the config too
        workflow.configure(change)
        profile = ["--profile", str(clone / "profiles/kubernetes"), "--seconds-between-status-checks", "1"]
        command = workflow.command(*arguments, *profile, "--default-storage-prefix", "s3://bucket/folder")
        # Pods would be told to work there, all in one folder, and remove each other's copies of what is stored.
        place = command.index("--directory")
        del command[place : place + 2]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
            **cluster.environment,
            "PATH": PATH,
            "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": store[0],
            "SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "key",
            "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "secret",
            "SNAKEMAKE_STORAGE_S3_REGION": "us-east-1",
        }
        with open(tmp_path / "log.txt", "w") as log:
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=clone))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def fetched(client, folder):
    """What the store has, as files below a folder."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="bucket", Prefix="folder/results/")
    for key in (found["Key"] for page in pages for found in page.get("Contents", [])):
        path = folder / key.removeprefix("folder/")
        path.parent.mkdir(parents=True, exist_ok=True)
        client.download_file("bucket", key, str(path))
    return Workflow(folder)


def test_killed_pods_change_nothing(cluster, store, submitted, change, tmp_path, tmp_path_factory):
    alone = Workflow(tmp_path_factory.mktemp("alone"))
    alone.configure(change)
    alone(REPORT)
    process = submitted(change, REPORT)

    for words in ("-m sdc extract", "-m sdc train"):
        until(functools.partial(cluster.doing, words), process, tmp_path / "log.txt").kill()
    process.wait(timeout=1800)
    text = (tmp_path / "log.txt").read_text()
    assert process.returncode == 0, text
    # None failed for a reason of its own.
    assert not [pod.log.read_text() for pod in cluster.pods if pod.code not in (0, KILLED)]
    assert cluster.codes.count(KILLED) == 2
    assert text.count("Trying to restart job") >= 2
    # prepare, extract, evaluate_features, thumbnails and a group for each method; and those that were killed.
    assert len(cluster.containers) == 6 + 2
    for container in cluster.containers:
        asked, most = container["resources"]["requests"], container["resources"]["limits"]
        assert asked["memory"] == most["memory"]
        assert 10_000 <= quantity(most["ephemeral-storage"]) / 1e6 <= 30_000
        computes = re.search(r"--allowed-rules [^-]*(extract|train)", container["args"][1])
        assert most.get("nvidia.com/gpu") == ("1" if computes else None)
    stored = fetched(store[1], tmp_path / "fetched")
    assert timeless(stored.files()) == timeless(alone.files())
    assert pages(stored) == pages(alone)


def pages(workflow):
    """The report without what shows times: the figure of costs, and what each stage took (but how many jobs)."""
    text = workflow.path("report.html").read_text()
    costs = re.findall(r"<td>(prepare|extract|train)</td><td>(\d+)</td>", text)
    assert [stage for stage, _ in costs] == ["prepare", "extract", "train"]
    text = re.sub(r"<tr><td>(prepare|extract|train)</td>.*?</tr>", "", text)
    text, number = re.subn(r'<figure id="[^"]*-cost">.*?</figure>', "", text, flags=re.DOTALL)
    assert number == 1
    return costs, text


def test_pod_killed_for_memory_gets_more(cluster, store, submitted, change, tmp_path):
    process = submitted(change, "results/manifests/digits.csv", "--set-resources", "prepare:mem_mb=150*attempt**4")
    process.wait(timeout=1800)
    text = (tmp_path / "log.txt").read_text()
    assert process.returncode == 0, text
    assert cluster.codes == [KILLED, 0]
    assert fetched(store[1], tmp_path / "fetched").path("manifests/digits.csv").exists()
