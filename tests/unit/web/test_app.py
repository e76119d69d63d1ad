import io
import json
import re

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from sdc import Index
from sdc.storage.features import Features
from sdc.web.app import create_app
from sdc.web.collection import Collection
from sdc.web.uploads import MAX_BYTES

SHARED = "a token of some length"
HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def client(collections):
    return TestClient(create_app(collections, hosts={"127.0.0.1"}), base_url="http://127.0.0.1")


@pytest.fixture
def photo(finished):
    return {"image": ("photo.png", (finished / "images/cat/0001.png").read_bytes())}


def test_the_page_offers_items_to_begin_with(client):
    page = client.get("/").text
    assert page.count('src="/thumbnails/0/') == 20 and 'type="file"' in page


@pytest.mark.parametrize("by", ["hamming", "asymmetric", "cosine"])
def test_an_item_shows_its_neighbours_under_each_index(client, collections, by):
    page = client.get(f"/?item=3&by={by}&k=10").text
    assert page.count("<section") == 2 and page.count("data-code=") == 20
    assert len(re.findall('<li class="(?:right|wrong)">', page)) == 20
    assert page.count('<rect class="one"') + page.count('<rect class="zero"') == 32
    assert '<rect class="positive"' in page and '<rect class="negative"' in page
    assert re.search(rf'by={by}&amp;k=10" data-key="." aria-current="true"', page)


def test_names_stay_text(client):
    page = client.get("/?item=3&k=20").text
    assert "&lt;script&gt;alert(1)&lt;|script&gt;" in page and "<script>alert" not in page
    # Nothing that the policy forbids: scripts and styles in the page, handlers, other places.
    scripts = [f'<script src="/static/{name}.js" defer>' for name in ("page", "map")]
    assert re.findall(r"<script[^>]*>", page) == scripts
    assert not re.search(r"<style|\sstyle=|\son\w+=|https?://", page)


def test_a_map_is_sent_under_an_address_of_its_own(client, collections):
    addresses = re.findall(r'data-map="([^"]+)"', client.get("/").text)
    assert len(set(addresses)) == 2 and re.findall(r'data-map="([^"]+)"', client.get("/?item=3").text) == addresses
    answer = client.get(addresses[1])
    assert answer.content == collections[1].map and "immutable" in answer.headers["cache-control"]


def test_an_image_leads_to_a_page_with_an_address(client, photo):
    page = client.post("/query?k=10&by=asymmetric", files=photo)
    assert page.status_code == 200 and "/?upload=" in str(page.url) and page.text.count("data-code=") == 20
    key = re.search(r"/uploads/(\w+)", page.text)[1]
    assert client.get(f"/uploads/{key}").content.startswith(b"\xff\xd8")
    cosine = client.get(f"/?upload={key}&by=cosine&k=10").text
    assert cosine.count("data-code=") == 20
    # It has no label, so that nothing is right or wrong.
    assert re.findall(r'<li class="(\w*)">', cosine) == [""] * 20 and "relevant" not in cosine
    assert client.get("/?upload=another", headers=HTML).status_code == 404


def test_a_random_query_is_an_item(client):
    assert re.search(r"/\?item=\d+&by=cosine&k=10$", str(client.get("/random?by=cosine&k=10").url))


def test_api_answers_as_the_index(client, collections, finished, photo):
    index = collections[1].index
    by_image = client.post("/api/search?k=4&index=1", files=photo).json()
    assert [(each["index"], len(each["neighbours"])) for each in by_image] == [(collections[1].name, 4)]
    code = np.frombuffer(bytes.fromhex(by_image[0]["code"]), np.uint8)
    distances, ids = index.search(code[None], 4)
    assert [each["distance"] for each in by_image[0]["neighbours"]] == distances[0].tolist()
    assert [each["id"] for each in by_image[0]["neighbours"]] == ids[0].tolist()
    row = next(row for row, path in enumerate(index.items.paths) if path == "cat/0001.png")
    features = Features(finished / "results/features/folder/pixels/clean", 2).take(index.ids[[row]])[0]
    form = {"features": json.dumps(features.astype(float).tolist())}
    assert client.post("/api/search?k=4&index=1", data=form).json() == by_image
    codes = client.post("/api/encode", data=form).json()
    assert codes == client.post("/api/encode", files=photo).json()
    assert codes[1] == {"index": collections[1].name, "bits": 16, "code": by_image[0]["code"]}
    about = client.get(f"/api/items/{index.ids[row]}").json()
    assert [each["path"] for each in about] == ["cat/0001.png"] * 2 and about[1]["code"] == codes[1]["code"]
    of_item = client.get(f"/api/search?item={index.ids[row]}&k=3").json()
    assert all(each["relevant"] in (True, False) for each in of_item[0]["neighbours"])


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/api/search?item=99", 404, "id 99 is not in the index"),
        ("/api/search?item=-1", 422, "item: Input should be greater than or equal to 0"),
        (f"/api/search?item={2**63}", 422, "item: Input should be less than"),
        ("/api/search?item=3&k=0", 422, "k: Input should be greater than or equal to 1"),
        ("/api/search?item=3&by=name", 422, "by: Input should be 'hamming', 'asymmetric' or 'cosine'"),
        ("/api/search?item=3&index=2", 404, "there is no index 2; there are 2, from 0 on"),
        ("/api/items/99", 404, "id 99 is not in the index"),
        ("/api/items/%ff", 422, "id: Input should be a valid integer"),
        ("/thumbnails/0/99", 404, "id 99 is not in the index"),
        ("/thumbnails/2/1", 404, "there is no such index"),
        ("/thumbnails/-1/1", 404, "there is no such index"),
        ("/maps/2", 404, "there is no such map"),
        ("/maps/-1", 404, "there is no such map"),
        ("/thumbnails/0/..%2f..%2fetc%2fpasswd", 404, "Not Found"),
        ("/static/..%2fapp.py", 404, "Not Found"),
        ("/static/app.py", 404, "there is no such file"),
        ("/?item=99", 404, "id 99 is not in the index"),
        ("/docs", 404, "Not Found"),
    ],
)
def test_what_there_is_not(client, path, status, detail):
    answer = client.get(path)
    assert answer.status_code == status and answer.json()["detail"].startswith(detail)
    page = client.get(path, headers=HTML)
    assert page.status_code == status
    assert path.startswith("/api") or page.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("form", "status", "detail"),
    [
        ({}, 422, "give an image or features, and not both"),
        ({"data": {"features": "[1, 2]"}}, 422, "features have shape (1, 2)"),
        ({"data": {"features": "[" * 100_000}}, 422, "features: is not a JSON list of numbers"),
        ({"data": {"features": '["1"]'}}, 422, "features: is not a JSON list of numbers"),
        ({"data": {"features": f"[{'9' * 400}]"}}, 422, "features: is not a JSON list of numbers"),
        ({"data": {"features": json.dumps([float("nan")] * 48)}}, 422, "features: row 0 holds NaN"),
        ({"files": {"image": b"<svg/>"}}, 422, "this is no image that can be read"),
        ({"files": {"image": b"\xff\xd8\xff"}, "data": {"features": "[1]"}}, 422, "give an image or features"),
        ({"files": {"image": bytes(MAX_BYTES + 200_000)}}, 413, "the request is too large; send at most 32.1 MB"),
        ({"files": {"image": bytes(MAX_BYTES + 1)}}, 413, "the image is too large; give at most 32 MB"),
        ({"content": b"junk", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 400, ""),
    ],
)
def test_bad_queries_are_refused(client, form, status, detail):
    answer = client.post("/api/search", **form)
    assert answer.status_code == status and answer.json()["detail"].startswith(detail), answer.text


def test_a_body_without_a_length_is_refused_while_it_comes(client):
    def parts():
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        for _ in range(MAX_BYTES // 10**6 + 1):
            yield bytes(10**6)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/api/search", content=parts(), headers=headers)
    assert answer.status_code == 413 and answer.json()["detail"].startswith("the request is too large")


def test_a_person_logs_in_with_the_token(collections):
    client = TestClient(create_app(collections[:1], SHARED), base_url="https://example.org")
    assert client.get("/api/items/3").status_code == 401
    assert 'type="password"' in client.get("/?item=3", headers=HTML).text
    assert client.post("/login", data={"token": "wrong"}).status_code == 401
    page = client.post("/login", data={"token": SHARED}, follow_redirects=False)
    cookie = page.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Secure")) and SHARED not in cookie
    assert client.get("/api/items/3").status_code == 200
    bearer = TestClient(client.app, headers={"authorization": f"Bearer {SHARED}"})
    assert bearer.get("/metrics").status_code == 200


def test_damage_is_logged_and_not_told(tmp_path, caplog):
    Index.build(np.zeros((3, 2), np.uint8), paths=["a", "b", "c"]).save(tmp_path / "i")
    client = TestClient(create_app([Collection(tmp_path / "i")]), raise_server_exceptions=False)
    items = next((tmp_path / "i").glob("items-*.h5"))
    items.write_bytes(bytes(items.stat().st_size))
    for path in ("/api/search?item=1", "/api/items/1", "/thumbnails/0/1", "/?item=1"):
        answer = client.get(path)
        assert answer.status_code == 500
        assert answer.json() == {"detail": "the server cannot read its own files; its log says more"}
    assert "is damaged" in caplog.text


def test_health_and_metrics(client):
    assert client.get("/healthz").text == "ok\n"
    client.get("/api/items/3")
    text = client.get("/metrics").text
    assert 'sdc_requests_total{route="/api/items/{id}",status="200"}' in text and "} 24.0\n" in text


def test_openapi_says_what_there_is(client):
    paths = client.get("/api/openapi.json").json()["paths"]
    assert {name: set(each) for name, each in paths.items()} == {
        "/api/search": {"get", "post"}, "/api/encode": {"post"}, "/api/items/{id}": {"get"},
    }  # fmt: skip


def test_codes_alone_have_a_page_without_uploads(tmp_path):
    codes = np.random.default_rng(0).integers(0, 256, (30, 512)).astype(np.uint8)
    Index.build(codes).save(tmp_path / "i")
    client = TestClient(create_app([Collection(tmp_path / "i")]))
    page = client.get("/?item=4").text
    assert page.count("data-code=") == 20 and 'type="file"' not in page and '<rect class="all"' in page
    assert "data-map" not in page and client.get("/maps/0").status_code == 404
    image = io.BytesIO()
    Image.new("RGB", (9, 9)).save(image, "PNG")
    assert client.post("/query", files={"image": image.getvalue()}).status_code == 422
    assert "cannot rank by" in client.get("/?item=4&by=cosine").text
