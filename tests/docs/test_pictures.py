"""The screenshots show what the program draws today."""

from __future__ import annotations

import re

import pytest

from tests.docs import pages, pictures


@pytest.mark.parametrize("name", pictures.DRAWERS)
def test_screenshot_is_what_the_program_draws(name: str) -> None:
    kept = pictures.path(name).read_text(encoding="utf-8")
    assert pictures.words(kept) == pictures.words(pictures.svg(name)), "make docs"
    assert pictures.DRAWERS[name][0] in " ".join(pictures.words(kept)).replace("\xa0", " ")


def test_screenshots_fetch_nothing_and_are_all_shown() -> None:
    text = "".join((pages.ROOT / page).read_text(encoding="utf-8") for page in pages.pages())
    files = sorted(pictures.FOLDER.iterdir())
    assert [file.stem for file in files] == sorted(pictures.DRAWERS)
    for file in files:
        assert f"pictures/{file.name})" in text
        addresses = set(re.findall(r'https?://[^"\s)<]+', file.read_text(encoding="utf-8")))
        assert addresses <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}
