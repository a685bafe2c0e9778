"""Facts about the page, in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.web.pages import serving

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PHONE = {"viewport": {"width": 375, "height": 740}, "is_mobile": True, "has_touch": True}
SECONDS = 60_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(connect_four, tic_tac_toe):
    with serving(tic_tac_toe, connect_four) as page:
        yield page


@contextmanager
def tab(chromium, address, shows=".board", **options):
    """A browser of its own with the page; fails if the page reports an error. shows: what to wait for."""
    context = chromium.new_context(**options)
    context.set_default_timeout(SECONDS)
    page = context.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda message: faults.append(message.text) if message.type == "error" else None,
    )
    page.goto(address)
    page.wait_for_selector(shows)
    yield page
    context.close()
    assert faults == []


def choose_game(page, title):
    page.select_option('select[aria-label="Game"]', label=title)
    page.wait_for_selector(f'.board[aria-label="{title} board"]')


def moves(page):
    """The moves of the list, without their numbers."""
    return page.eval_on_selector_all(
        ".move-list .move", "all => all.map(one => one.lastChild.textContent)"
    )


def click_first_legal(page):
    page.wait_for_selector(".target.legal", state="attached")
    page.locator(".target.legal").first.click(force=True)


def play_to_the_end(page):
    for _ in range(5):
        made = len(moves(page))
        click_first_legal(page)
        page.wait_for_function(
            "made => document.querySelectorAll('.move-list .move').length >= made + 2"
            " || / after \\d+ moves/.test(document.querySelector('.status').textContent)",
            arg=made,
        )
        if "after" in page.inner_text(".status"):
            return
    raise AssertionError("the game did not end")


def test_a_whole_game_with_its_result(chromium, served):
    with tab(chromium, served.address) as page:
        play_to_the_end(page)
        text = page.inner_text(".status")
        assert text.startswith(("You win after", "You lose after", "A draw after"))
        made = len(moves(page))
        assert "there is no move to think about" in page.inner_text(".analysis")
        assert page.is_visible("text=See what each move was worth")
        # Walk through it with the keyboard.
        page.keyboard.press("ArrowUp")
        page.wait_for_function("() => document.querySelectorAll('.pieces .piece').length === 0")
        page.keyboard.press("ArrowDown")
        page.wait_for_selector(f".status:has-text('after {made} moves')")
        page.keyboard.press("n")
        page.wait_for_function("() => document.querySelectorAll('.move-list .move').length === 0")


def test_thoughts_are_shown_and_their_line_is_drawn_under_the_mouse(chromium, served):
    with tab(chromium, served.address) as page:
        choose_game(page, "Connect Four")
        page.wait_for_function(
            "() => Number(document.querySelector('.outlook .wide dd').textContent) >= 50"
        )
        assert page.locator(".heat-spot").count() > 0
        assert page.locator(".moves-found .move-name").count() == 5
        page.hover(".moves-found tbody tr:first-child")
        page.wait_for_selector(".line-number")
        assert page.locator(".line-number").first.text_content() == "1"
        page.mouse.move(1, 1)
        page.wait_for_function("() => document.querySelectorAll('.line-number').length === 0")
        caption = "Win, draw and loss are of Red, who is to move"
        assert page.inner_text(".analysis .caption").startswith(caption)
        # What the network finds likely has nothing to do with the visits of the search.
        page.click(".analysis button:has-text('network')")
        page.wait_for_function(
            "() => document.querySelectorAll('.figures text:not(.winrate)').length === 0"
        )
        assert page.locator(".figures .winrate").count() == 3
        page.click("text=nothing")
        page.wait_for_function("() => document.querySelectorAll('.heat-spot').length === 0")


def test_undo_hint_and_an_earlier_checkpoint(chromium, served):
    with tab(chromium, served.address) as page:
        choose_game(page, "Connect Four")
        page.click('[data-name="d"]', force=True)
        page.wait_for_function("() => document.querySelectorAll('.move-list .move').length === 2")
        page.keyboard.press("u")
        page.wait_for_function("() => document.querySelectorAll('.move.undone').length === 2")
        page.click("text=show")
        page.keyboard.press("h")
        page.wait_for_selector(".hint-mark")
        page.wait_for_function(
            r"() => /^Your move: Red. Hint: [a-g]\.$/"
            ".test(document.querySelector('.status').textContent)"
        )
        page.click("text=show")
        assert "trained 2 min" in page.inner_text(".player >> nth=1")
        page.focus('input[aria-label="Checkpoint"]')
        page.keyboard.press("ArrowLeft")
        page.wait_for_selector(".player-name:has-text('trained 1 min')")


def test_a_whole_turn_with_the_keyboard_alone(chromium, served):
    with tab(chromium, served.address) as page:
        choose_game(page, "Connect Four")
        page.focus(".board")
        page.keyboard.press("ArrowRight")
        page.wait_for_selector(".chosen-mark")
        for _ in range(7):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.querySelectorAll('.move-list .move').length === 2")
        assert moves(page)[0] == "f"
        # A row of the analysis is played, too; then the board has the focus, and no line is left on it.
        page.wait_for_selector(".status:has-text('Your move')")
        page.wait_for_selector(".moves-found .move-name")
        page.focus(".moves-found tbody tr:first-child")
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.querySelectorAll('.move-list .move').length === 4")
        assert page.evaluate("document.activeElement.classList.contains('board')")
        assert page.locator(".line-number").count() == 0


def test_it_can_be_watched_and_taken_over(chromium, served):
    with tab(chromium, served.address) as page:
        page.click(".controls button:has-text('Watch')")
        page.wait_for_function("() => document.querySelectorAll('.move-list .move').length >= 2")
        page.click("text=Take over")
        page.wait_for_selector(".status:has-text('Your move')")
        assert len(moves(page)) >= 2 and page.is_visible(".controls button:has-text('Watch')")


def test_two_browsers_play_games_of_their_own(chromium, served):
    with tab(chromium, served.address) as one, tab(chromium, served.address) as other:
        choose_game(other, "Connect Four")
        click_first_legal(one)
        other.click('[data-name="g"]', force=True)
        for page in (one, other):
            page.wait_for_function(
                "() => document.querySelectorAll('.move-list .move').length === 2"
            )
        assert moves(one)[0] != "g" and moves(other)[0] == "g"


@pytest.mark.slow
def test_ten_browsers_at_once_keep_their_games_apart(chromium, served):
    contexts = [chromium.new_context() for _ in range(10)]
    pages = [context.new_page() for context in contexts]
    for page in pages:
        page.set_default_timeout(SECONDS)
        page.goto(served.address)
    for index, page in enumerate(pages):
        choose_game(page, "Connect Four")
        page.click(f'[data-name="{"abcdefg"[index % 7]}"]', force=True)
    for index, page in enumerate(pages):
        page.wait_for_function("() => document.querySelectorAll('.move-list .move').length === 2")
        assert moves(page)[0] == "abcdefg"[index % 7]
        page.click(f'[data-name="{"abcdefg"[(index + 3) % 7]}"]', force=True)
    for index, page in enumerate(pages):
        page.wait_for_function("() => document.querySelectorAll('.move-list .move').length === 4")
        expected = ["abcdefg"[index % 7], "abcdefg"[(index + 3) % 7]]
        assert moves(page)[::2] == expected
        assert not page.locator(".notice.is-shown").count()
    for context in contexts:
        context.close()


def test_a_phone_shows_everything_without_scrolling_sideways(chromium, served):
    with tab(chromium, served.address, **PHONE) as page:
        choose_game(page, "Connect Four")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        box = page.locator(".board").bounding_box()
        assert box["width"] > 330 and box["y"] + box["height"] < 740
        page.tap('[data-name="d"]', force=True)
        page.wait_for_function("() => document.querySelectorAll('.move-list .move').length === 2")


def test_a_phone_on_its_side_shows_the_whole_board(chromium, served):
    with tab(chromium, served.address, viewport={"width": 844, "height": 390}) as page:
        choose_game(page, "Connect Four")
        box = page.locator(".board").bounding_box()
        assert box["y"] + box["height"] <= 390
        assert page.locator(".analysis").bounding_box()["x"] > box["x"] + box["width"]


def test_the_board_stays_where_it_is(chromium, served):
    with tab(chromium, served.address) as page:
        choose_game(page, "Connect Four")
        before = page.locator(".board").bounding_box()
        page.wait_for_selector(".moves-found .move-name")
        # The ghost of a move lies under the numbers of the moves.
        page.hover('[data-name="d"]', force=True)
        page.wait_for_selector(".heat .ghost")
        page.wait_for_selector(".heat > :has(.ghost) ~ .figures")
        page.click('[data-name="d"]', force=True)
        page.wait_for_function("() => document.querySelectorAll('.move-list .move').length === 2")
        page.click("text=show")
        assert page.locator(".board").bounding_box() == before


def test_who_won_stays_when_sides_are_walked_back_and_swapped(chromium, served):
    with tab(chromium, served.address) as page:
        click_first_legal(page)
        page.wait_for_function("() => document.querySelectorAll('.move-list .move').length === 2")
        page.click(".controls button:has-text('Resign')")
        page.wait_for_selector(".status:has-text('You lose after 2 moves')")
        page.click("text=Review it")
        page.wait_for_selector("button:text-is('Again')")
        page.click(".segments button:text-is('Play')")
        page.wait_for_selector(".status:has-text('You lose after 2 moves')")
        assert page.is_disabled(".controls button:has-text('Swap sides')")
        page.keyboard.press("s")
        page.keyboard.press("n")
        page.wait_for_selector(".status:has-text('Your move: X')")


def test_a_game_waits_while_another_one_is_reviewed_and_when_the_page_is_loaded_again(
    chromium, served
):
    with tab(chromium, served.address) as page:
        choose_game(page, "Connect Four")
        page.click('[data-name="d"]', force=True)
        page.wait_for_function("() => document.querySelectorAll('.move-list .move').length === 2")
        before = moves(page)
        page.click("text=Review")
        page.click("text=Paste a game")
        page.fill("textarea", "a a b b")
        page.click(".games button:has-text('Open')")
        page.wait_for_function("() => document.querySelectorAll('.move-list .move').length === 4")
        page.reload()
        page.wait_for_selector(".status:has-text('Your move: Red')")
        assert moves(page) == before
        page.click("text=Review")
        page.wait_for_selector(".status:has-text('Red to move')")
        page.click("text=Paste a game")
        page.fill("textarea", "a a b b c")
        page.click(".games button:has-text('Open')")
        page.wait_for_selector(".status:has-text('Yellow to move')")
        page.click(".segments button:text-is('Play')")
        page.wait_for_selector(".status:has-text('Your move: Red')")
        assert moves(page) == before
        # The board stays in sight beside the panels.
        style = "getComputedStyle(document.querySelector('.left')).position"
        assert page.evaluate(style) == "sticky"
        # It is the person's turn: nothing waits for a button.
        assert page.locator("button:text-is('Go on')").count() == 0
        page.click("text=Review")
        page.click("text=Paste a game")
        page.fill("textarea", "a a b")
        page.click(".games button:has-text('Open')")
        page.wait_for_selector(".status:has-text('Yellow to move')")
        page.click("text=Play on from here")
        page.wait_for_selector(".status:has-text('Your move: Yellow')")
        # A game that is chosen in the list takes the place of the other one.
        page.click("text=Review")
        page.wait_for_selector(".walk-row")
        choose_game(page, "Tic Tac Toe")
        page.click(".segments button:text-is('Play')")
        page.wait_for_selector(".status:has-text('Your move')")
        assert page.get_attribute(".board", "aria-label") == "Tic Tac Toe board"


def test_it_is_dark_where_the_system_is_and_can_be_switched(chromium, served):
    paper = "getComputedStyle(document.body).backgroundColor"
    figure = (
        "getComputedStyle(document.querySelector('.board')).getPropertyValue('--figure').trim()"
    )
    with tab(chromium, served.address, color_scheme="dark") as page:
        assert page.evaluate(paper) == "rgb(22, 25, 28)"
        choose_game(page, "Connect Four")
        assert page.evaluate(figure) == "#eaf3fb"
        page.emulate_media(color_scheme="light")
        page.wait_for_selector('button[aria-label="dark colors"]')
        assert page.evaluate(figure) == "#10202f"
        page.emulate_media(color_scheme="dark")
        page.click('button[aria-label="light colors"]')
        assert page.evaluate(paper) == "rgb(245, 244, 241)"
        page.reload()
        page.wait_for_selector(".board")
        assert page.evaluate(paper) == "rgb(245, 244, 241)"


def test_exact_values_are_shown_with_their_source_and_hidden_with_the_analysis(chromium, served):
    with tab(chromium, served.address) as page:
        page.wait_for_selector(".verdict:has-text('Perfect play: a draw')")
        assert "moves that draw: a3 b3 c3 a2 b2 c2 a1 b1 c1" in page.inner_text(".verdict")
        page.click("text=Review")
        page.click("text=Paste a game")
        page.fill("textarea", "a1 a2 b2 c3")
        page.click(".games button:has-text('Open')")
        page.wait_for_selector(".verdict:has-text('Perfect play: a win for X')")
        lines = page.inner_text(".verdict").splitlines()
        assert [line for line in lines if line] == [
            "Perfect play: a win for X",
            "moves that win: b1 c1",
            "moves that draw: a3 b3 c2",
        ]
        assert "table of perfect play" in page.get_attribute(".verdict", "title")
        page.wait_for_selector(".moves-found td.exact")
        shown = page.eval_on_selector_all(
            ".moves-found tbody tr:not(.empty)",
            "rows => rows.map(row => [row.querySelector('.move-name').textContent, "
            "row.querySelector('.exact').textContent])",
        )
        values = {"b1": "win", "c1": "win", "a3": "draw", "b3": "draw", "c2": "draw"}
        assert dict(shown) == values
        page.keyboard.press("ArrowLeft")
        page.wait_for_selector(".verdict:has-text('moves that lose: a3 b3 c3 c2 b1 c1')")
        assert "a win for X" in page.inner_text(".verdict")
        # Not for who wants to find the move alone.
        page.click(".analysis .switch")
        page.wait_for_selector(".verdict", state="detached")
        assert page.locator(".exact").count() == 0
        page.click(".analysis .switch")
        page.wait_for_selector(".verdict")


def test_the_first_load_is_small_and_asks_nobody_else(chromium, served):
    context = chromium.new_context()
    page = context.new_page()
    answers = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(served.address)
    page.wait_for_selector(".board")
    assert all(answer.url.startswith(served.address) for answer in answers)
    assert sum(len(answer.body()) for answer in answers) <= 300_000
    context.close()


def test_a_review_shows_the_worst_move_and_asks_for_the_better_one(chromium, served):
    with tab(chromium, served.address) as page:
        page.click("text=Review")
        page.click("text=Paste a game")
        # X could win at c3, and plays b2.
        page.fill("textarea", "a3 a2 b3 b2 c1 c2")
        page.click(".games button:has-text('Open')")
        page.wait_for_function("() => document.querySelectorAll('.move-list .move').length === 6")
        page.click(".review button.primary")
        page.wait_for_selector(".worst .played")
        page.wait_for_selector("canvas")
        assert page.inner_text(".values .legend").startswith("Line: X’s chance to win. Bars below")
        # The first riddle is of the move that lost most.
        page.evaluate("Math.random = () => 0")
        page.click("text=Find the better move")
        page.wait_for_selector(".left .riddle")
        page.wait_for_function(
            "() => document.querySelectorAll('.move-list .move.undone').length > 0"
        )
        assert page.locator(".heat-spot").count() == 0
        # Keys do not tell the answer, nor end the game.
        for key in "hnu":
            page.keyboard.press(key)
        # That loses.
        page.click(".target[data-name=b1]")
        page.wait_for_selector(".riddle:has-text('is 0% after b1, 100% after the best')")
        page.click("text=Show it")
        page.wait_for_selector(".riddle:has-text('was better')")
        assert page.locator(".move-list .move").count() == 6
        assert page.locator(".status:has-text('Hint')").count() == 0
        page.click("text=Done")
        large = {"name": "large.onnx", "mimeType": "text/plain", "buffer": b"x" * 900_000}
        page.set_input_files(".file-button input", large)
        page.wait_for_selector(".notice.is-shown:has-text('large.onnx is too long')")
        # It says nothing about the next file.
        small = {"name": "small.txt", "mimeType": "text/plain", "buffer": b"a1 a2 b1 b2 c3 c2"}
        page.set_input_files(".file-button input", small)
        page.wait_for_selector(".move-list .move:has-text('c3')")
        assert page.locator(".notice.is-shown").count() == 0
        with page.expect_download() as download:
            page.click("text=Download")
        assert download.value.suggested_filename == "tic_tac_toe-6.txt"


def test_on_a_phone_the_better_move_is_asked_for_where_the_board_is_seen(chromium, served):
    with tab(chromium, served.address, **PHONE) as page:
        page.click("text=Review")
        page.click("text=Paste a game")
        page.fill("textarea", "a3 a2 b3 b2 c1 c2")
        page.click(".games button:has-text('Open')")
        page.wait_for_function("() => document.querySelectorAll('.move-list .move').length === 6")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        page.click(".review button.primary")
        page.evaluate("Math.random = () => 0")
        page.click("text=Find the better move")
        page.wait_for_selector(".left .riddle")
        board, riddle = (page.locator(name).bounding_box() for name in (".board", ".riddle"))
        assert board["y"] >= 0 and riddle["y"] + riddle["height"] <= 740
        page.wait_for_function(
            "() => document.querySelectorAll('.move-list .move.undone').length > 0"
        )
        # The second click of a double click plays nothing.
        page.dblclick(".target[data-name=c3]")
        page.wait_for_selector(".riddle:has-text('Yes:')")
        page.wait_for_timeout(300)
        assert page.locator(".move-list .move").count() == 6


def test_a_click_on_the_graph_goes_to_the_position(chromium, served):
    with tab(chromium, served.address) as page:
        page.click("text=Review")
        page.click("text=Paste a game")
        page.fill("textarea", "a1 a2 b1 b2 c1")
        page.click(".games button:has-text('Open')")
        page.wait_for_selector(".status:has-text('X wins after 5 moves')")
        page.click(".review button.primary")
        page.wait_for_selector(".u-over")
        box = page.locator(".u-over").bounding_box()
        page.mouse.move(box["x"] + 3, box["y"] + 20)
        page.mouse.click(box["x"] + 3, box["y"] + 20)
        page.wait_for_function(
            "() => document.querySelectorAll('.move-list .move.undone').length === 5"
        )
        assert page.locator(".pieces .piece").count() == 0


def test_the_training_is_shown_and_the_game_waits_for_its_player(chromium, served):
    with tab(chromium, served.address) as page:
        click_first_legal(page)
        page.wait_for_function("() => document.querySelectorAll('.move-list .move').length === 2")
        before = moves(page)
        page.click("text=Training")
        page.wait_for_selector("text=This run has played no matches yet.")
        page.wait_for_selector("text=There are no curves yet.")
        page.click("text=Play")
        page.wait_for_selector(".controls")
        page.wait_for_function("() => document.querySelectorAll('.move-list .move').length === 2")
        assert moves(page) == before


def test_a_run_that_has_no_checkpoint_yet_is_shown_and_then_played(
    chromium, tic_tac_toe, connect_four, tmp_path
):
    young = tmp_path / "young"
    young.mkdir()
    shutil.copy(connect_four / "config.yaml", young)
    with (
        serving(tic_tac_toe, young, connect_four) as served,
        tab(chromium, served.address) as page,
    ):
        page.click("text=Training")
        run = 'select[aria-label="Run"]'
        page.wait_for_selector(f"{run} option:has-text('young (no')", state="attached")
        page.select_option(run, label="young (no checkpoint yet)")
        page.wait_for_selector("text=Training of young")
        page.wait_for_selector("text=No game of this run can be replayed yet.")
        shutil.copytree(connect_four / "models", young / "models")
        page.wait_for_selector(f"{run} option:text-is('young')", state="attached")
        page.select_option(run, label="four")
        page.wait_for_selector('.board[aria-label="Connect Four board"]')
        page.click("text=Play")
        page.wait_for_selector('.board[aria-label="Tic Tac Toe board"]')
        choose_game(page, "Connect Four")
        page.select_option('select[aria-label="Agent"]', label="young")
        page.wait_for_selector(".player-name:has-text('young')")
        assert page.locator(".player-name:has-text('four')").count() == 0


def test_a_level_and_resigning_can_be_chosen(chromium, served):
    with tab(chromium, served.address) as page:
        page.click(".opponent button:has-text('level')")
        page.wait_for_selector("text=9 full strength")
        page.fill('input[aria-label="Strength"]', "2")
        page.wait_for_selector(".slider:has-text('level 3')")
        page.check("text=resigns hopeless games")
        page.click(".opponent button:has-text('seconds')")
        page.wait_for_selector(".slider:has-text('1 s a move')")
        assert page.is_checked("text=resigns hopeless games")


def test_a_team_game_is_watched(chromium, snakes):
    with (
        serving(snakes) as served,
        tab(chromium, served.address, shows=".team-picture") as page,
    ):
        page.click(".controls button:has-text('Pause')")
        page.wait_for_selector(".status:has-text('Paused at step')")
        page.select_option('select[aria-label="Second team"]', label="slither")
        page.wait_for_function(
            "() => document.querySelectorAll('input[aria-label=Checkpoint]').length === 2"
        )
        picture = "document.querySelector('.team-picture').src"
        before = page.evaluate(picture)
        page.keyboard.press("ArrowRight")
        page.wait_for_selector(".status:has-text('Paused at step 1 of at most 12')")
        assert page.evaluate(picture) != before
        page.fill('input[aria-label="Pace"]', "6")
        page.click(".controls button:has-text('Go on')")
        page.wait_for_selector(".controls button.primary:has-text('New game')")
        text = page.inner_text(".status")
        assert text.startswith(("First team wins, ", "Second team wins, ", "A draw, "))
        page.click("text=Training")
        page.wait_for_selector("text=Training of slither")
