"""The static page plays in a real browser: whole games, analysis, a search that sees wins, all of it in one file.

The network is a toy written in JavaScript in place of onnxruntime-web, which is too large for the repository; where
onnxruntime-web is at hand (node_modules/, or kept from an earlier export), the real one is compared with torch.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddpzero.arena.agents import load_agent
from ddpzero.cli import commands as cli
from ddpzero.evaluators.uniform import UniformEvaluator
from ddpzero.export.onnxruntime_web import RUNTIME_FILES, cache_folder
from ddpzero.export.static_page import STATIC_FOLDER
from ddpzero.games import load_game
from ddpzero.search.settings import SearchSettings
from ddpzero.search.thinking import Thinking
from tests.export.models import SMALL, written_model

# Answers as onnxruntime-web does: no action is better than another, and every game will be drawn.
_TOY_RUNTIME = """
export const env = { wasm: {} };
export class Tensor {
  constructor(type, data, dims) { Object.assign(this, { type, data, dims }); }
}
export const InferenceSession = {
  create: async () => ({
    run: async ({ planes }) => {
      const [rows, , , width] = planes.dims;
      const value = Float32Array.from({ length: 3 * rows }, (_, index) => (index % 3 === 1 ? 1 : 0));
      return { policy_logits: { data: new Float32Array(rows * ACTIONS) }, value: { data: value } };
    },
  }),
};
"""
_SEARCH = """async ([moves, simulations]) => {
  const { makeGame } = await import("./games/games.js");
  const { Search } = await import("./search.js");
  const page = JSON.parse(document.getElementById("page").textContent);
  const game = makeGame(page.game);
  let position = game.start();
  for (const move of moves) position = game.play(position, move);
  const evaluate = async (positions) =>
    positions.map(() => ({ logits: new Float32Array(game.numActions), outcome: [0, 1, 0] }));
  const search = new Search(game, evaluate, page.search);
  search.begin(position);
  await search.think(simulations);
  return search.thoughts();
}"""


def toy_runtime(folder: Path, num_actions: int) -> Path:
    """A folder like the npm package onnxruntime-web."""
    (folder / "dist").mkdir(parents=True)
    code = _TOY_RUNTIME.replace("ACTIONS", str(num_actions))
    for name in RUNTIME_FILES:
        (folder / "dist" / name).write_text(code if name.endswith("mjs") else "wasm")
    return folder


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Connect Four as a folder and as one file."""
    folder = tmp_path_factory.mktemp("pages")
    model = written_model(folder, "game=connect_four", *SMALL)
    runtime = toy_runtime(folder / "npm", 7)
    for name in ("page", "page.html"):
        words = ["--static", str(folder / name), "--onnxruntime-web", str(runtime), "--check", "4"]
        assert cli.main(["export", str(model), *words]) == 0
    return folder


@pytest.fixture
def open_page(browser):
    """Open a page; at the end, nothing may have gone wrong on any."""
    contexts, errors = [], []

    def opened(address: str, **options: Any):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.goto(address)
        page.wait_for_selector(".board")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


def play_to_the_end(page) -> str:
    """Play the first legal move until the game is over; return how it ended."""
    for _ in range(100):
        page.wait_for_function(
            "/Your move|win|Draw/.test(document.querySelector('.status').textContent)"
        )
        status = page.locator(".status").inner_text()
        if "Your move" not in status:
            return status
        page.locator(".target.legal").first.click()
    raise AssertionError("the game goes on and on")


def test_a_whole_game_is_played_in_the_browser(pages: Path, serve, open_page):
    page = open_page(serve(pages / "page"))
    page.get_by_role("radio", name="32", exact=True).click()
    assert play_to_the_end(page) in ("You win.", "The network wins.", "Draw.")
    num_stones = page.locator(".pieces .piece").count()
    assert num_stones >= 7
    # Whoever plays the next game: this one was lost or won by who played it.
    status = page.locator(".status").inner_text()
    page.get_by_role("radio", name="Yellow").click()
    assert page.locator(".status").inner_text() == status
    page.get_by_role("radio", name="Red").click()
    # Walk through it.
    page.get_by_role("button", name="to the start").click()
    assert page.locator(".pieces .piece").count() == 0
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(f".status:has-text('After 1 of {num_stones} moves.')")
    page.get_by_role("button", name="to the end").click()
    assert page.locator(".status").inner_text() == status
    page.get_by_role("button", name="Take back").click()
    page.wait_for_function("document.querySelector('.status').textContent.includes('Your move')")
    assert page.locator(".pieces .piece").count() < num_stones
    page.get_by_role("button", name="New game").click()
    assert page.locator(".pieces .piece").count() == 0
    page.get_by_role("radio", name="Yellow").click()
    page.wait_for_function("document.querySelectorAll('.pieces .piece').length === 1")
    page.get_by_role("button", name="Hint").click()
    page.wait_for_selector(".hint-mark")


def test_one_file_is_the_whole_page_and_opens_without_a_server(pages: Path, open_page):
    page = open_page((pages / "page.html").as_uri())
    page.get_by_role("radio", name="none", exact=True).click()
    assert play_to_the_end(page) in ("You win.", "The network wins.", "Draw.")
    with page.expect_download() as download:
        page.locator("footer a").click()
    card = json.loads(Path(download.value.path()).read_text())
    assert card == json.loads((pages / "page" / "card.json").read_text())


def test_a_folder_that_is_opened_without_a_server_says_what_it_needs(pages: Path, browser):
    page = browser.new_page()
    page.goto((pages / "page" / "index.html").as_uri())
    assert "This page needs a web server" in page.locator("#app").inner_text()
    page.close()


def test_the_page_fits_on_a_phone(pages: Path, serve, open_page):
    page = open_page(serve(pages / "page"), viewport={"width": 375, "height": 700})
    assert page.get_by_role("heading", name="Connect Four").is_visible()
    page.get_by_label("show").check()
    page.wait_for_selector(".heat > *")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    board = page.locator(".board").bounding_box()
    assert board is not None and board["width"] > 300 and board["y"] + board["height"] < 700


def test_the_search_proves_a_win(pages: Path, serve, open_page):
    page = open_page(serve(pages / "page"))
    thoughts = page.evaluate(_SEARCH, [moves_of("aabbcc"), 60])
    first = thoughts["moves"][0]
    assert (first["action"], first["value"], first["isProven"]) == (*moves_of("d"), 1, True)
    assert (thoughts["value"], thoughts["isProven"], thoughts["outcome"]) == (1, True, [1, 0, 0])


def test_the_search_proves_that_all_moves_but_one_lose(pages: Path, serve, open_page):
    """The second player has to stop a row of three; whoever does not is lost, whatever the network says."""
    page = open_page(serve(pages / "page"))
    thoughts = page.evaluate(_SEARCH, [moves_of("aabbc"), 200])
    best, *others = thoughts["moves"]
    assert best["action"] == moves_of("d")[0] and not best["isProven"]
    assert all(move["isProven"] and move["value"] == -1 for move in others)
    assert sum(move["visits"] for move in thoughts["moves"]) == thoughts["visits"] == 200
    assert sum(thoughts["outcome"]) == pytest.approx(1)


@pytest.mark.parametrize("opening", ["", "dd", "aabbgc", "ddddccee"])
def test_the_search_visits_the_moves_that_ours_does(opening: str, pages: Path, serve, open_page):
    """As long as both evaluate one position at a time."""
    page = open_page(serve(pages / "page"))
    found = page.evaluate(_SEARCH, [moves_of(opening), 15])
    game = load_game("connect_four")
    position = game.initial_position()
    for move in moves_of(opening):
        position = game.apply_action(position, move)
    thinking = Thinking(game, SearchSettings(), 15, UniformEvaluator(game, 1))
    thinking.begin(position)
    thinking.think(15)
    ours = {move.action: move for move in thinking.thoughts().moves}
    visits = {move["action"]: move["visits"] for move in found["moves"]}
    assert visits == {action: move.visits for action, move in ours.items()}
    for move in found["moves"]:
        assert move["value"] == pytest.approx(ours[move["action"]].value, abs=1e-5)


def moves_of(text: str) -> list[int]:
    return ["abcdefg".index(letter) for letter in text]


def test_the_network_in_the_browser_answers_like_torch(
    tmp_path: Path, serve, open_page, monkeypatch
):
    found = [
        folder
        for folder in (Path("node_modules/onnxruntime-web"), cache_folder())
        if folder.exists()
    ]
    if not found:
        pytest.skip("needs onnxruntime-web in node_modules/, or from an earlier export")
    model = written_model(tmp_path, "game=othello", "game.size=6", *SMALL)
    words = ["--static", str(tmp_path / "page"), "--onnxruntime-web", str(found[0]), "--check", "4"]
    assert cli.main(["export", str(model), *words]) == 0
    page = open_page(serve(tmp_path / "page"))
    answer = page.evaluate("""async () => {
      const { makeGame } = await import("./games/games.js");
      const { loadNetwork } = await import("./network.js");
      const game = makeGame(JSON.parse(document.getElementById("page").textContent).game);
      const evaluate = await loadNetwork(game);
      const [first, second] = await evaluate([game.start(), game.play(game.start(), 8)]);
      return [first, second].map(({ logits, outcome }) => [Array.from(logits), outcome]);
    }""")
    agent = load_agent(model)
    exportable = agent.algorithm.exportable(agent.weights, agent.model)
    start = agent.game.initial_position()
    positions = [start, agent.game.apply_action(start, 8)]
    planes = np.stack([agent.game.observation(position) for position in positions])
    with torch.inference_mode():
        logits, value, *_ = exportable.network(torch.from_numpy(planes).float())
    np.testing.assert_allclose([row[0] for row in answer], logits, atol=1e-4)
    np.testing.assert_allclose([row[1] for row in answer], value, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("game=tic_tac_toe", *SMALL), "the page cannot play tic_tac_toe: its rules exist in"),
        (("+experiment=snakes", "network.width=16"), "the page cannot play snakes"),
    ],
)
def test_a_game_without_rules_in_javascript_is_refused(words, told, tmp_path: Path, capsys):
    model = written_model(tmp_path, *words)
    assert cli.main(["export", str(model), "--static", str(tmp_path / "page.html")]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


def test_modules_name_each_other_as_the_one_file_expects():
    """An import over two lines, or in single quotes, would be missing in it."""
    for file in STATIC_FOLDER.rglob("*.js"):
        for line in file.read_text().splitlines():
            if re.match(r"import\b", line):
                assert re.fullmatch(r'import .* from "\./?[./\w-]+";', line), f"{file}: {line}"
