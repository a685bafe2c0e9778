"""What the pages of a collection server show: numbers as in the database, all text escaped, and every state."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa

from ddpzero.remote.messages import ModelInformation
from ddpzero.serve.accounts import remove_user
from ddpzero.serve.api_page import code_parts, messages_of, split_meanings, type_text
from ddpzero.serve.curve import elo_text, rating_curve
from ddpzero.serve.database import games, models, reading, rejections, uploads, users
from ddpzero.serve.pages import ago, count, size
from ddpzero.serve.statistics import MAX_REASONS
from tests.serve.material import copied, material, model_name, upload_of
from tests.serve.servers import ServerOfTest, serving

_SVG = "{http://www.w3.org/2000/svg}"
_ODD = "<script>alert('&')\""


class _Page(HTMLParser):
    """The names of a page's elements, its attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(server: ServerOfTest, path: str = "/") -> _Page:
    answer = server.client.get(path)
    assert answer.status_code == 200, answer.text
    return _Page(answer.text)


def figures_of(server: ServerOfTest, path: str = "/") -> dict[str, str]:
    """Return the figures at the top of a page."""
    html = server.client.get(path).text
    found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", html)
    return {name: re.sub("<.*?>", "", value) for name, value in found}


def send(server: ServerOfTest, path: Path, num_games: int, headers=None, is_forged=False) -> None:
    episodes = copied(material().play(num_games, seed=time.time_ns() % 2**31))
    if is_forged:
        episodes[0].info["moves"][2] = episodes[0].info["moves"][1]
    content = upload_of(material(), episodes, path / "x.npz")
    answer = server.upload(content, headers=headers)
    assert answer.status_code == 200, answer.text


def finished_match(server: ServerOfTest, user: str, model: int, opponent: int) -> None:
    """Put the result of a rating match into the database: the model wins seven of eight pairs."""
    with server.parts.collection.engine.begin() as connection:
        ids = [
            connection.execute(sa.select(table.c.id).where(table.c.name == name)).scalar()
            for table, name in [
                (users, user),
                (models, model_name(model)),
                (models, model_name(opponent)),
            ]
        ]
        connection.execute(
            sa.text(
                "insert into matches (id, user_id, model_id, opponent_id, num_games, seed, created_at, done_at, scores,"
                " mean_plies, seconds, num_distinct_games) values (:id, :user, :model, :opponent, 16, 1, :now, :now,"
                " :scores, 7, 1, 16)"
            ),
            {
                "id": f"{model}-{opponent}",
                **dict(zip(("user", "model", "opponent"), ids, strict=True)),
                "now": time.time(),
                "scores": str([[1.0, 1.0]] * 7 + [[0.0, 0.0]]),
            },
        )
        connection.execute(
            users.update()
            .where(users.c.name == user)
            .values(num_match_games=users.c.num_match_games + 16, last_seen_at=time.time())
        )


def test_all_numbers_are_those_of_the_database(server, tmp_path):
    num_rejected_before = server.statistics()["num_rejected"]
    for headers in (server.alice, server.bob, server.learner):
        send(server, tmp_path, 3, headers)
    send(server, tmp_path, 3, server.alice, is_forged=True)
    with reading(server.parts.collection.engine) as connection:
        num_games = connection.execute(sa.select(sa.func.count()).select_from(games)).scalar()
        of_uploads = connection.execute(sa.select(sa.func.sum(uploads.c.num_games))).scalar()
        columns = (sa.func.sum(users.c[f"num_{name}"]) for name in ("samples", "rejected"))
        num_samples, num_rejected = connection.execute(sa.select(*columns)).one()
        senders = connection.execute(
            sa.select(sa.func.count(sa.distinct(uploads.c.user_id)))
        ).scalar()
    found = server.statistics()
    assert found["num_games"] == num_games == of_uploads
    assert found["num_samples"] == num_samples
    assert found["num_rejected"] == num_rejected == num_rejected_before + 1
    assert found["num_contributors"] == len(found["contributors"]) == senders == 3
    assert sum(model["num_games"] for model in found["models"]) == num_games
    shown = figures_of(server)
    assert shown["games"] == count(num_games)
    assert shown["samples"] == count(num_samples)
    assert shown["games rejected"] == count(num_rejected)
    assert shown["contributors"] == "3"


def test_counts_of_models_do_not_depend_on_what_the_server_remembers(tmp_path):
    with serving(tmp_path) as server:
        server.push(1)
        send(server, tmp_path, 3)
        # As after a rating match that was counted during the upload.
        server.parts.collection.models = [
            model._replace(num_games=0) for model in server.parts.collection.models
        ]
        assert [model["num_games"] for model in server.statistics()["models"]] == [3]


def test_whoever_plays_only_rating_games_is_a_contributor_and_who_sent_nothing_is_none(tmp_path):
    with serving(tmp_path) as server:
        server.push(1)
        server.push(2)
        assert server.statistics()["contributors"] == []
        assert "contributors/" not in server.client.get("/").text
        finished_match(server, "bob", 2, 1)
        found = server.statistics()
        assert [contributor["name"] for contributor in found["contributors"]] == ["bob"]
        assert found["num_contributors"] == found["num_active"] == 1
        # With a token, but nothing was sent.
        assert figures_of(server, "/contributors/alice")["last seen"] == "never"


def test_contributors_with_equally_many_games_are_in_order_of_their_names(tmp_path):
    with serving(tmp_path) as server:
        now = time.time()
        with server.parts.collection.engine.begin() as connection:
            for number in range(30):
                name = f"user-{(7 * number) % 30:02d}"
                connection.execute(
                    users.insert().values(
                        name=name,
                        token_hash=name,
                        role="contributor",
                        is_active=True,
                        created_at=now,
                        last_seen_at=now,
                        num_games=number % 2,
                    )
                )
        found = [(c["num_games"], c["name"]) for c in server.statistics()["contributors"]]
        assert found == sorted(found, key=lambda row: (-row[0], row[1]))


def test_pages_say_what_is_missing(tmp_path):
    with serving(tmp_path) as server:
        page = page_of(server)
        assert "No learner has pushed a model yet" in page.text
        assert "img" not in page.tags and "table" not in page.tags
        assert page.text.count("None yet.") == 2
        ElementTree.fromstring(server.client.get("/curve.svg").content)
        server.push(1)
        page = page_of(server)
        assert "not rated" in page.text and "img" not in page.tags
        assert "None." in page_of(server, "/contributors/alice").text


@pytest.mark.parametrize(
    "path, sentence",
    [
        ("/contributors/nobody", "There is no contributor 'nobody'."),
        ("/contributors/a%00b", r"There is no contributor 'a\x00b'."),
        (f"/contributors/{quote('<b>&' * 100)}", f"There is no contributor '{'<b>&' * 16}'."),
        ("/nothing/here", "There is no page '/nothing/here'."),
        ("/api", "There is no page '/api'."),
        ("/%3Cscript%3E%ff\u202e", "There is no page '/<script>\ufffd\\u202e'."),
        (f"/{'x' * 5000}", f"There is no page '/{'x' * 63}'."),
    ],
)
def test_an_address_that_shows_nothing_is_a_page_that_leads_to_the_run(server, path, sentence):
    answer = server.client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = _Page(answer.text)
    assert sentence in page.text and ("href", "/") in page.attributes
    assert not {"script", "b"} & set(page.tags)


def test_a_program_that_asks_for_nothing_is_answered_with_json(server):
    answer = server.client.get("/api/v1/nothing")
    assert answer.status_code == 404 and "/api/v1/nothing" in answer.json()["error"]


def test_only_the_newest_models_and_the_first_contributors_are_open_at_once(tmp_path):
    with serving(tmp_path) as server:
        for number in range(1, 13):
            server.push(number)
        with server.parts.collection.engine.begin() as connection:
            for number in range(60):
                connection.execute(
                    users.insert().values(
                        name=f"user-{number}",
                        token_hash=str(number),
                        role="contributor",
                        is_active=True,
                        created_at=0.0,
                        last_seen_at=0.0,
                        num_games=60 - number,
                    )
                )
        html = server.client.get("/").text
        opened = re.sub(r"<details>.*?</details>", "", html, flags=re.DOTALL)
        assert model_name(12) in opened and model_name(2) not in opened and model_name(2) in html
        assert "user-0" in opened and "user-59" not in opened and "user-59" in html
        assert "2 older models" in html and "40 more contributors" in html


def test_nothing_that_others_wrote_becomes_html(tmp_path):
    with serving(tmp_path, title=_ODD) as server:
        server.push(1)
        with server.parts.collection.engine.begin() as connection:
            connection.execute(
                users.update()
                .where(users.c.name == "alice")
                .values(name=_ODD, last_seen_at=0.0, num_games=1)
            )
            connection.execute(models.update().values(name=_ODD))
            user = sa.select(users.c.id).where(users.c.name == _ODD).scalar_subquery()
            connection.execute(
                rejections.insert().values(
                    user_id=user, upload_id="x", time=0.0, num_games=1, reason=_ODD
                )
            )
        of_user = f"/contributors/{quote(_ODD)}"
        for path, times in [("/", 4), (of_user, 5), ("/api/docs", 2)]:
            page = page_of(server, path)
            assert "script" not in page.tags, path
            assert page.text.count(_ODD) == times, path


@pytest.mark.parametrize("path", ["/", "/contributors/alice", "/api/docs"])
def test_pages_need_no_script_and_nothing_from_elsewhere(server, path):
    answer = server.client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "img-src 'self' data:" in policy
    # These are not implied by default-src.
    for name in ("base-uri", "form-action", "frame-ancestors"):
        assert f"{name} 'none'" in policy.split("; ")
    page = _Page(answer.text)
    assert not {"script", "iframe", "object", "form"} & set(page.tags)
    for name, value in page.attributes:
        assert not name.startswith("on")
        # A style attribute and a style element are the policy's 'unsafe-inline'.
        if name in ("src", "href"):
            assert re.match(r"(/(?!/)|#|data:image/)", value or ""), value


def test_times_say_their_zone_and_when_the_page_was_made(server, tmp_path):
    send(server, tmp_path, 2, is_forged=True)
    for path in ("/", "/contributors/alice"):
        html = server.client.get(path).text
        times = re.findall(r"<time [^>]*>", html)
        assert times and all(re.search(r'title="\S+ \S+ UTC"', found) for found in times)
        assert re.search(r"As of <time [^>]*>\d{4}-\d\d-\d\d \d\d:\d\d UTC</time>", html)


def test_a_rejection_says_how_many_of_its_kind_are_shown(tmp_path):
    with serving(tmp_path) as server:
        with server.parts.collection.engine.begin() as connection:
            user = sa.select(users.c.id).where(users.c.name == "alice").scalar_subquery()
            for number in range(MAX_REASONS + 1):
                connection.execute(
                    rejections.insert().values(
                        user_id=user,
                        upload_id="x",
                        time=0.0,
                        num_games=1,
                        reason=f"reason {number}",
                    )
                )
        page = page_of(server, "/contributors/alice")
        assert f"The newest {MAX_REASONS} reasons." in page.text
        assert "reason 0" not in page.text and f"reason {MAX_REASONS}" in page.text


def test_the_page_of_a_removed_user_says_so(tmp_path):
    sentence = "The server's operator has removed this user"
    with serving(tmp_path) as server:
        assert sentence not in page_of(server, "/contributors/alice").text
        remove_user(server.parts.collection.engine, "alice")
        assert sentence in page_of(server, "/contributors/alice").text
        assert sentence not in page_of(server, "/contributors/bob").text


def test_the_page_says_when_a_model_is_rated_while_one_is_not(tmp_path):
    sentence = "A model is rated as soon as rating games connect it to the oldest model"
    with serving(tmp_path) as server:
        assert sentence not in page_of(server).text
        server.push(1)
        assert "they begin with the second model." in page_of(server).text
        server.push(2)
        text = page_of(server).text
        assert sentence in " ".join(text.split()) and "they begin with" not in text
        finished_match(server, "alice", 2, 1)
        server.client.portal.call(server.parts.collection.refresh)
        assert sentence not in " ".join(page_of(server).text.split())


def test_an_option_is_not_broken_into_two_lines(server):
    html = server.client.get("/").text
    assert html.count("--check") == html.count('class="whole">--check<') == 2
    assert ".whole { white-space: nowrap; }" in html


def test_the_page_of_the_api_names_every_request_parameter_and_field(server):
    description = server.client.get("/api/openapi.json").json()
    page = page_of(server, "/api/docs")
    for path, methods in description["paths"].items():
        for method, request in methods.items():
            assert f"{method.upper()} {path}" in page.text
            for parameter in request.get("parameters", []):
                assert parameter["name"] in page.text
    schemas = description["components"]["schemas"]
    for name, schema in schemas.items():
        assert ("id", name) in page.attributes
        for field in schema["properties"]:
            assert field in page.text
    # References lead to a message of the page.
    targets = {value for name, value in page.attributes if name == "id"}
    links = {value for name, value in page.attributes if name == "href" and value}
    assert {link[1:] for link in links if link.startswith("#")} <= targets
    assert {"#UploadAnswer", "#MatchReport", "#ModelInformation"} <= links
    assert "`" not in page.text


def test_every_field_of_a_message_has_a_meaning_in_the_words_of_json(server):
    document = server.client.get("/api/openapi.json").json()
    fields = [
        (message.name, field) for message in messages_of(document) for field in message.fields
    ]
    assert len(fields) > 50
    for message, field in fields:
        assert re.fullmatch(r'["A-Z].*\.', field.meaning, re.DOTALL), (message, field)
    assert "None" not in str(messages_of(document))
    assert "null without rating games" in page_of(server, "/api/docs").text


def test_the_meaning_of_a_field_stands_beside_it():
    text = "A model. low,\nhigh: its interval: 95 %; see `rate`. size: of\nits file.\n\nlate:\ne.g. low."
    first, meanings = split_meanings(text, ["low", "high", "size", "late", "name"])
    assert first == "A model."
    assert meanings == {
        "low": "its interval: 95 %; see `rate`.",
        "high": "its interval: 95 %; see `rate`.",
        "size": "of\nits file.",
        "late": "e.g. low.",
    }
    assert split_meanings("size: of it. A width: none.", ["size"]) == (
        "",
        {"size": "of it. A width: none."},
    )
    assert code_parts("a `b`.\n\n`c`") == [
        [("a ", False), ("b", True), (".", False)],
        [("c", True)],
    ]


def test_types_are_words():
    item = {"$ref": "#/components/schemas/File"}
    assert type_text(item) == "File"
    assert type_text({"anyOf": [item, {"type": "null"}]}) == "File or null"
    assert type_text({"type": "array", "items": item}) == "array of File"
    assert type_text({"type": "object", "additionalProperties": {"type": "number"}}) == (
        "object of number"
    )
    assert type_text({"enum": ["a", "b"]}) == '"a" or "b"'
    assert type_text({"type": "object", "additionalProperties": True}) == "object"


def information(number: int, samples: int, rating: tuple[float, float, float] | None):
    return ModelInformation(
        f"t-{number}<", "", 1, number, samples, 0.0, 0, *(rating or (None, None, None))
    )


def test_the_curve_is_in_its_frame_and_its_labels_say_the_units():
    released = [
        information(4, 2_600_000, None),
        information(3, 2_500_000, (480, 390, 570)),
        information(2, 1_000_000, (-60, -190, 70)),
        information(1, 0, (0, 0, 0)),
    ]
    curve = rating_curve(released)
    assert [point.label for point in curve.points] == [
        "t-1<: 0",
        "t-2<: −60 ± 130",
        "t-3<: +480 ± 90",
    ]
    for point in curve.points:
        assert 0 < point.x < 100
        assert 0 < point.high <= point.y <= point.low < 100
    assert [tick.label for tick in curve.x_ticks] == [
        *("0", "500 k", "1 M", "1.5 M", "2 M", "2.5 M")
    ]
    assert [tick.label for tick in curve.y_ticks] == ["0", "+200", "+400"]
    assert rating_curve([]).points == [] == rating_curve(released[:1]).points
    # No spread at all.
    assert (
        len(rating_curve([information(1, 5, (0, 0, 0)), information(2, 5, (0, 0, 0))]).points) == 2
    )


def test_the_curve_is_drawn_for_light_and_dark_with_text_of_one_size(tmp_path):
    with serving(tmp_path) as server:
        for number in (1, 2, 3):
            server.push(number)
        for model, opponent in [(2, 1), (3, 2)]:
            finished_match(server, "bob", model, opponent)
        server.client.portal.call(server.parts.collection.refresh)
        drawing = server.client.get("/curve.svg")
        assert drawing.headers["content-type"] == "image/svg+xml"
        root = ElementTree.fromstring(drawing.content)
        # With a viewBox, the text would shrink with the screen.
        assert "viewBox" not in root.attrib
        assert len(root.findall(f".//{_SVG}circle")) == 3
        assert "prefers-color-scheme: dark" in drawing.text
        html = server.client.get("/").text
        assert 'src="/curve.svg"' in html
        # The oldest model is the reference, not measured.
        assert "± 0" not in html and "reference" in html


def test_numbers_and_times_are_written_for_people(monkeypatch):
    assert (count(1234567), count(0)) == ("1,234,567", "0")
    assert [elo_text(number) for number in (0.2, -0.4, -35.6, 480, 1234.5)] == [
        *("0", "0", "−36", "+480", "+1,234")
    ]
    assert [size(number) for number in (0, 1, 1023, 1536, 3 << 30)] == [
        *("0 bytes", "1 byte", "1,023 bytes", "1.5 KiB", "3.0 GiB")
    ]
    monkeypatch.setattr(time, "time", lambda: 1e6)
    assert [ago(1e6 - seconds) for seconds in (-5, 59, 60, 7200, 86400 * 3)] == [
        *("just now", "just now", "1 minute ago", "2 hours ago", "3 days ago")
    ]
    assert ago(None) == "never"
