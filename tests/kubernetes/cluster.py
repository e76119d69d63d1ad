"""What Snakemake's Kubernetes plugin needs of a cluster, for a test: an API on loopback whose pods are processes here.

A pod works in an empty folder, knows the variables that it is given and those of its secrets and no others, and is
killed when it takes more memory than its limit. No image is pulled: the programs are this machine's.
"""

import base64
import contextlib
import http.server
import json
import re
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psutil
import yaml

KILLED = 128 + signal.SIGKILL
UNITS = {"M": 10**6, "m": 10**-3}


def quantity(text):
    """A number as Kubernetes writes it: 500M, 950m, 1."""
    number, unit = re.fullmatch(r"([\d.]+)(\D*)", text).groups()
    return float(number) * UNITS.get(unit, 1)


class Pod:
    """One container: a process and those it starts; ``code`` is None while it runs.

    Args:
        container: Its specification.
        variables: Its environment.
        folder: Where it works, empty.
    """

    def __init__(self, container, variables, folder):
        self.container = container
        self.code = None
        self.log = Path(folder) / "log"
        work = Path(folder) / "work"
        work.mkdir()
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [*container["command"], *container["args"]],
                cwd=work,
                env=variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        limits = self.container["resources"].get("limits", {})
        limit = quantity(limits["memory"]) if "memory" in limits else float("inf")
        while (code := self._process.poll()) is None:
            if self.memory() > limit:
                self.kill()
            time.sleep(0.05)
        self.code = KILLED if code == -signal.SIGKILL else code

    def _asked(self, what):
        """What its processes say of themselves, as far as they still live."""
        answers = []
        with contextlib.suppress(psutil.Error):
            for process in [one := psutil.Process(self._process.pid), *one.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    answers.append(what(process))
        return answers

    def memory(self):
        """Bytes that its processes hold."""
        return sum(self._asked(lambda process: process.memory_info().rss))

    def commands(self):
        """The command lines of its processes."""
        return "\n".join(" ".join(line) for line in self._asked(psutil.Process.cmdline))

    def kill(self):
        """End it as a power cut would."""
        for process in [*self._asked(lambda process: process), self._process]:
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                process.kill()

    def status(self):
        """The part of a job's and a pod's status that clients read."""
        state = {"running": {}} if self.code is None else {"terminated": {"exitCode": self.code}}
        named = {"name": "snakemake", "image": "", "imageID": "", "ready": True, "restartCount": 0, "state": state}
        return {"succeeded": int(self.code == 0), "failed": int(bool(self.code)), "containerStatuses": [named]}


class Cluster:
    """Runs from ``with`` to its end; ``environment`` is what its clients need.

    ``containers`` are the specifications of all that was started, ``codes`` how it ended.

    Args:
        folder: For the pods and the clients' configuration.
        variables: Of every pod.
    """

    def __init__(self, folder, variables):
        self.folder, self.variables = Path(folder), variables
        self.jobs, self.secrets, self.pods = {}, {}, []
        handler = type("Handler", (_Handler,), {"cluster": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.environment = {"KUBECONFIG": str(self.folder / "kubeconfig")}

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        server = f"http://127.0.0.1:{self._server.server_address[1]}"
        named = {"name": "test", "cluster": {"server": server}}
        context = {"name": "test", "context": {"cluster": "test", "user": "test"}}
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [named], "contexts": [context], "users": [{"name": "test", "user": {}}],
        }  # fmt: skip
        Path(self.environment["KUBECONFIG"]).write_text(yaml.safe_dump(config))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        for pod in self.pods:
            pod.kill()

    @property
    def containers(self):
        return [pod.container for pod in self.pods]

    @property
    def codes(self):
        return [pod.code for pod in self.pods]

    def doing(self, words):
        """A running pod, one of whose processes has these words in its command line, or None."""
        return next((pod for pod in self.pods if pod.code is None and words in pod.commands()), None)

    def start(self, job):
        """What the controller, the scheduler and a node do with a new job."""
        (container,) = job["spec"]["template"]["spec"]["containers"]
        requests, limits = container["resources"]["requests"], container["resources"].get("limits", {})
        for name, asked in requests.items():
            if quantity(asked) > quantity(limits.get(name, asked)):
                return f"must be less than or equal to {name} limit"
            if "/" in name and limits.get(name) != asked:
                return f"Limit must be set for non overcommitable resources: {name}"
        folder = tempfile.mkdtemp(dir=self.folder)
        variables = {**self.variables, "HOME": folder}
        for variable in container["env"]:
            reference = variable["valueFrom"]["secretKeyRef"]
            variables[variable["name"]] = base64.b64decode(self.secrets[reference["name"]][reference["key"]]).decode()
        pod = self.jobs[job["metadata"]["name"]] = Pod(container, variables, folder)
        self.pods.append(pod)
        return None


class _Handler(http.server.BaseHTTPRequestHandler):
    cluster: Cluster

    def log_message(self, *_):
        pass

    def _answer(self, content, status=200):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(content, bytes) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _name(self, kind):
        """The name in an address like ``/apis/batch/v1/namespaces/default/jobs/NAME``."""
        found = re.search(rf"/namespaces/default/{kind}/([^/?]+)", self.path)
        return found and found[1]

    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/secrets"):
            self.cluster.secrets[sent["metadata"]["name"]] = sent["data"]
            self._answer(sent, 201)
        elif reason := self.cluster.start(sent):
            self._answer({"kind": "Status", "status": "Failure", "message": reason}, 422)
        else:
            self._answer(sent, 201)

    def do_GET(self):
        jobs = self.cluster.jobs
        if selected := re.search(r"labelSelector=job-name%3D([\w-]+)", self.path):
            named = {name: pod for name, pod in jobs.items() if name == selected[1]}
            pods = [{"metadata": {"name": name}, "status": pod.status()} for name, pod in named.items()]
            self._answer({"kind": "PodList", "items": pods})
        elif (name := self._name("pods")) in jobs and "/log" in self.path:
            # What a container that ran before this one wrote: there is none, as pods are not started again.
            if "previous=True" in self.path:
                message = f'previous terminated container "snakemake" in pod "{name}" not found'
                self._answer({"kind": "Status", "status": "Failure", "message": message, "code": 400}, 400)
            else:
                self._answer(jobs[name].log.read_bytes())
        elif (name := self._name("jobs")) in jobs:
            self._answer({"metadata": {"name": name}, "status": jobs[name].status()})
        else:
            self._answer({"kind": "Status", "status": "Failure", "reason": "NotFound"}, 404)

    def do_DELETE(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if (name := self._name("jobs")) in self.cluster.jobs:
            self.cluster.jobs.pop(name).kill()
        elif name := self._name("secrets"):
            self.cluster.secrets.pop(name, None)
        self._answer({"kind": "Status", "status": "Success"})
