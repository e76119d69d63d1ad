"""The page and the JSON API of ``sdc serve``."""

import concurrent.futures
import dataclasses
import hashlib
import hmac
import json
import logging
import secrets
import urllib.parse
from collections.abc import Collection as Names
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import jinja2
import numpy as np
from fastapi import FastAPI, File, Form, HTTPException, Query, Request, Response, Security, UploadFile
from fastapi import Path as Part
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from sdc import __version__
from sdc.errors import SDCError, StorageError
from sdc.search.answers import Ranking
from sdc.web import histogram, uploads
from sdc.web.bounded import Bounded
from sdc.web.collection import RANKINGS, Collection
from sdc.web.collection import Query as Asked
from sdc.web.counters import Counters
from sdc.web.guard import COOKIE, Guard, in_cookie

MOST = 100
_log = logging.getLogger(__name__)
_HERE = Path(__file__).parent
_STATIC = {"page.js": "text/javascript", "map.js": "text/javascript", "page.css": "text/css"}
_THUMBNAIL_BYTES, _UPLOADS = 64 * 2**20, 256

Id = Annotated[int, Part(ge=0, lt=2**63)]
Item = Annotated[int | None, Query(ge=0, lt=2**63, description="Id of an item of the database.")]
By = Annotated[Ranking, Query(description="What to rank by.")]
K = Annotated[int, Query(ge=1, le=MOST, description="How many neighbours.")]
Number = Annotated[int | None, Query(ge=0, lt=1000, description="Which index, from 0 on; all if not given.")]
Image = Annotated[UploadFile | None, File(description="An image file: JPEG, PNG, WebP, GIF or BMP.")]
Features = Annotated[str | None, Form(description="Instead of an image, its features: a JSON list of numbers.")]


class Problem(BaseModel):
    """What is wrong, and what to do."""

    detail: str


class Neighbour(BaseModel):
    """An item near the query; ``relevant`` is null where labels do not say it."""

    rank: int
    distance: float
    id: int
    path: str
    label: str
    code: str
    relevant: bool | None


class Answer(BaseModel):
    """What one index answers; codes are hexadecimal."""

    index: str
    code: str
    neighbours: list[Neighbour]


class Code(BaseModel):
    """The code of the query by the head of one index."""

    index: str
    bits: int
    code: str


class About(BaseModel):
    """An item of one index."""

    index: str
    id: int
    path: str
    label: str
    code: str


@dataclasses.dataclass(frozen=True)
class _Upload:
    """An image that was asked for: a hash of its file, its thumbnail, and its features for each index."""

    key: str
    thumbnail: bytes
    features: Sequence[np.ndarray]


def create_app(
    collections: Sequence[Collection], token: str | None = None, hosts: Names[str] | None = None, limit: int = 32
) -> Guard:
    """The ASGI app.

    Args:
        collections: Indexes, side by side on the page.
        token: That requests must have; None for none.
        hosts: Names by which requests may call this server; None for any.
        limit: Of requests at once.
    """
    statuses = (404, 422, 500, 503, *(() if token is None else (401,)))
    problems: dict[int | str, dict[str, Any]] = {status: {"model": Problem} for status in statuses}
    form_problems = {**problems, 400: {"model": Problem}, 408: {"model": Problem}, 413: {"model": Problem}}
    app = FastAPI(
        title="sdc serve",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        # The guard looks at it; here it is said.
        dependencies=[] if token is None else [Security(HTTPBearer(auto_error=False))],
    )
    counters = Counters({each.name: len(each.index) for each in collections})
    thumbnails = Bounded[bytes](_THUMBNAIL_BYTES, len)
    asked, decoding = Bounded[_Upload](_UPLOADS), concurrent.futures.ThreadPoolExecutor(1)
    static = {name: (_HERE / "static" / name).read_bytes() for name in _STATIC}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    takes_images = all(each.takes_images for each in collections)

    def html(template: str, status: int = 200, **values: Any) -> HTMLResponse:
        return HTMLResponse(environment.get_template(template).render(**values), status)

    def encoded(image: UploadFile) -> _Upload:
        """Features of an uploaded image for all indexes; those that share a backbone share them."""
        content = image.file.read(uploads.MAX_BYTES + 1)
        if len(content) > uploads.MAX_BYTES:
            raise HTTPException(413, f"the image is too large; give at most {uploads.MAX_BYTES / 1e6:g} MB")
        # A large image takes a gigabyte: one at a time, and in one thread, for each keeps what it once took.
        return decoding.submit(upload_of, content).result()

    def upload_of(content: bytes) -> _Upload:
        picture = uploads.read_image(content)
        by_key: dict[str, np.ndarray] = {}
        for each in collections:
            if each.features_key not in by_key:
                by_key[each.features_key] = each.features(picture)
        key = hashlib.sha256(content).hexdigest()[:32]
        return _Upload(key, uploads.thumbnail(picture), [by_key[each.features_key] for each in collections])

    def chosen(number: int | None) -> list[int]:
        if number is not None and number >= len(collections):
            raise HTTPException(404, f"there is no index {number}; there are {len(collections)}, from 0 on")
        return [*range(len(collections))] if number is None else [number]

    def queries(image: UploadFile | None, features: str | None, numbers: Sequence[int]) -> list[Asked]:
        if (image is None) == (features is None):
            raise HTTPException(422, "give an image or features, and not both")
        if image is not None:
            upload = encoded(image)
            return [collections[number].query_of_features(upload.features[number]) for number in numbers]
        vector = _vector(features or "")
        return [collections[number].query_of_features(vector) for number in numbers]

    def answers(found: Sequence[Asked], numbers: Sequence[int], by: Ranking, k: int) -> list[Answer]:
        result = []
        for query, number in zip(found, numbers, strict=True):
            answer = collections[number].answer(query, by, k)
            neighbours = [Neighbour(**each) for each in answer]
            result.append(
                Answer(index=collections[number].name, code=query.code.tobytes().hex(), neighbours=neighbours)
            )
        return result

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def page(item: Item = None, upload: str | None = None, by: By = "hamming", k: K = 20) -> HTMLResponse:
        """The page; its address says all that it shows."""
        image = None if upload is None else asked.get(upload)
        if upload is not None and image is None:
            raise HTTPException(404, "this image is no longer held; give it again")
        base: dict[str, Any] = {"item": item, "upload": upload if item is None else None, "by": by, "k": k}
        views = []
        for number, each in enumerate(collections):
            view: dict[str, Any] = {"collection": each, "number": number, "neighbours": []}
            views.append(view)
            try:
                if item is not None:
                    view |= {"item": each.item(item), "query": each.query_of_item(item, by)}
                elif image is not None:
                    view["query"] = each.query_of_features(image.features[number])
                if "query" in view:
                    query = view["query"]
                    relevant = each.relevant(query)
                    if relevant is not None and query.row is not None:
                        relevant = np.delete(relevant, query.row)
                    view["bars"] = histogram.bars(each.distances(query), each.index.bits, relevant)
                    view["bits"] = np.unpackbits(query.code).tolist()
                    view["neighbours"] = each.answer(query, by, k)
            except StorageError:
                raise
            except SDCError as error:
                view["problem"] = str(error)
        if item is not None and not any("item" in view for view in views):
            raise HTTPException(404, f"id {item} is not in the index")
        some = []
        if item is None and image is None:
            ids = collections[0].index.ids
            some = [
                collections[0].item(int(each))
                for each in ids[np.linspace(0, len(ids) - 1, min(k, len(ids)), dtype=int)]
            ]
        return html(
            "page.html",
            views=views,
            some=some,
            base=base,
            rankings={by: RANKINGS[by] for by in RANKINGS if any(by in each.rankings for each in collections)},
            link=lambda **changes: _link({**base, **changes}),
            takes_images=takes_images,
            histogram=histogram,
            accept=",".join(f"image/{name.lower()}" for name in uploads.FORMATS),
            asks=item is not None or image is not None,
        )

    @app.post("/query", include_in_schema=False)
    def query(image: Annotated[UploadFile, File()], by: By = "hamming", k: K = 20) -> RedirectResponse:
        """Take an image, and lead to the page that shows its neighbours."""
        upload = encoded(image)
        asked.put(upload.key, upload)
        return RedirectResponse(_link({"upload": upload.key, "by": by, "k": k}), 303)

    @app.get("/random", include_in_schema=False)
    def random(by: By = "hamming", k: K = 20) -> RedirectResponse:
        """Lead to the page of any item."""
        ids = collections[0].index.ids
        return RedirectResponse(_link({"item": int(ids[secrets.randbelow(len(ids))]), "by": by, "k": k}), 303)

    @app.get("/thumbnails/{number}/{item}", include_in_schema=False)
    def thumbnail(number: int, item: Id) -> Response:
        """An item's image, small."""
        if not 0 <= number < len(collections):
            raise HTTPException(404, "there is no such index")
        try:
            content = thumbnails.get((number, item)) or thumbnails.put(
                (number, item), collections[number].thumbnail(item)
            )
        except StorageError:
            raise
        except SDCError as error:
            raise HTTPException(404, str(error)) from error
        return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    @app.get("/maps/{number}", include_in_schema=False)
    def drawn(number: int) -> Response:
        """The map of an index: see ``sdc.web.map``."""
        if not 0 <= number < len(collections) or (content := collections[number].map) is None:
            raise HTTPException(404, "there is no such map")
        # Its address has its version.
        headers = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(content, media_type="application/octet-stream", headers=headers)

    @app.get("/uploads/{key}", include_in_schema=False)
    def uploaded(key: str) -> Response:
        """An image that was asked for, small."""
        if (upload := asked.get(key)) is None:
            raise HTTPException(404, "this image is no longer held; give it again")
        return Response(upload.thumbnail, media_type="image/jpeg")

    @app.get("/static/{name}", include_in_schema=False)
    def asset(name: str) -> Response:
        """The page's own script and style."""
        if name not in static:
            raise HTTPException(404, "there is no such file")
        return Response(static[name], media_type=_STATIC[name], headers={"Cache-Control": "no-cache"})

    @app.get("/login", include_in_schema=False)
    def login() -> HTMLResponse:
        """Ask for the token."""
        return html("login.html", problem="")

    @app.post("/login", include_in_schema=False)
    def log_in(request: Request, given: Annotated[str, Form(alias="token")]) -> Response:
        """Take the token, and keep it in a cookie."""
        if token is None or not hmac.compare_digest(given.encode("utf-8", "replace"), token.encode()):
            return html("login.html", 401, problem="That is not the token.")
        response = RedirectResponse("/", 303)
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, in_cookie(token), httponly=True, samesite="strict", secure=secure)
        return response

    @app.get("/api/search", responses=problems)
    def search_item(
        item: Annotated[int, Query(ge=0, lt=2**63)], by: By = "hamming", k: K = 10, index: Number = None
    ) -> list[Answer]:
        """The neighbours of an item of the database."""
        numbers = chosen(index)
        return answers([collections[number].query_of_item(item, by) for number in numbers], numbers, by, k)

    @app.post("/api/search", responses=form_problems)
    def search(
        image: Image = None, features: Features = None, by: By = "hamming", k: K = 10, index: Number = None
    ) -> list[Answer]:
        """The neighbours of an image, or of features."""
        numbers = chosen(index)
        return answers(queries(image, features, numbers), numbers, by, k)

    @app.post("/api/encode", responses=form_problems)
    def encode(image: Image = None, features: Features = None, index: Number = None) -> list[Code]:
        """The code of an image, or of features."""
        numbers = chosen(index)
        found = queries(image, features, numbers)
        return [
            Code(index=collections[number].name, bits=collections[number].index.bits, code=query.code.tobytes().hex())
            for number, query in zip(numbers, found, strict=True)
        ]

    @app.get("/api/items/{id}", responses=problems)
    def items(id: Id) -> list[About]:
        """An item of the database, in each index that has it."""
        result = []
        for each in collections:
            try:
                result.append(About(index=each.name, **each.item(id)))
            except StorageError:
                raise
            except SDCError:
                continue
        if not result:
            raise HTTPException(404, f"id {id} is not in the index")
        return result

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> PlainTextResponse:
        """Whether the server lives."""
        return PlainTextResponse("ok\n")

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(generate_latest(counters.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    def problem(request: Request, status: int, detail: str, headers: Any = None) -> Response:
        if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
            return JSONResponse({"detail": detail}, status, headers)
        response = html("error.html", status, detail=detail)
        response.headers.update(headers or {})
        return response

    @app.exception_handler(StarletteHTTPException)
    async def http(request: Request, error: StarletteHTTPException) -> Response:
        return problem(request, error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        lines = (f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors())
        return problem(request, 422, "; ".join(lines).encode("utf-8", "replace").decode())

    @app.exception_handler(StorageError)
    async def broken(request: Request, error: StorageError) -> Response:
        _log.error("%s", error)
        return problem(request, 500, "the server cannot read its own files; its log says more")

    @app.exception_handler(SDCError)
    async def refused(request: Request, error: SDCError) -> Response:
        text = " ".join(str(error).split()).encode("utf-8", "replace").decode()
        return problem(request, 404 if text.endswith("is not in the index") else 422, text)

    bound = uploads.MAX_BYTES + 10**5
    return Guard(app, counters, token=token, hosts=hosts, limit=limit, max_bytes=bound)


def _link(values: dict[str, Any]) -> str:
    return "/?" + urllib.parse.urlencode({key: value for key, value in values.items() if value is not None})


def _vector(text: str) -> np.ndarray:
    """A JSON list of numbers, float32."""
    try:
        values = json.loads(text)
        if not isinstance(values, list) or not all(type(each) in (int, float) for each in values):
            raise ValueError("not a list of numbers")
        return np.array(values, np.float64)
    except (ValueError, OverflowError, RecursionError) as error:
        raise HTTPException(422, "features: is not a JSON list of numbers; give one, such as [0.1, 2.5]") from error
