"""Pages come in their order, a bounded number of them ahead, and end with the first error."""

import threading
import time

import pytest

from engine import page_loading
from engine.page_loading import load_pages


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(page_loading, "core_count", lambda: 2)


def is_idle() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("page_")]


def test_order_is_kept():
    def decode(page):
        time.sleep(0.002 * (page % 3 == 0))
        return page * page

    assert list(load_pages(decode, range(100))) == [page * page for page in range(100)]
    assert list(load_pages(decode, [5, 3])) == [25, 9]
    assert list(load_pages(decode, [])) == []
    assert is_idle()


def test_threads_share_the_pages():
    both = threading.Barrier(2, timeout=20.0)
    assert list(load_pages(lambda page: both.wait() >= 0, range(8))) == [True] * 8


def test_few_pages_are_held():
    begun = []
    pages = load_pages(lambda page: begun.append(page) or page, range(1000))
    for taken in range(50):
        assert next(pages) == taken
        assert len(begun) <= taken + 1 + page_loading._AHEAD * 2
    time.sleep(0.05)
    assert len(begun) <= 50 + page_loading._AHEAD * 2
    pages.close()
    assert is_idle()


def test_an_error_comes_in_the_place_of_its_page():
    begun = []

    def decode(page):
        begun.append(page)
        if page == 20:
            raise ValueError("page 20 is damaged")
        return page

    taken = []
    with pytest.raises(ValueError, match="page 20 is damaged"):
        taken.extend(load_pages(decode, range(1000)))
    assert max(begun) <= 20 + page_loading._AHEAD * 2
    assert is_idle()


def test_what_waits_is_not_begun_after_closing():
    begun, go = [], threading.Event()

    def decode(page):
        begun.append(page)
        go.wait(20.0)
        return page

    pages = load_pages(decode, range(1000))
    closing = threading.Timer(0.1, go.set)
    closing.start()
    assert next(pages) == 0
    pages.close()
    closing.join()
    assert len(begun) <= page_loading._AHEAD * 2 + 1
    assert is_idle()
