"""The reference says what the program says, and names everything that can be set."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from macvnet import declared, doctor, option_keys, settings
from macvnet.drivers import macvlan
from macvnet.engine import checking, requests
from macvnet.engine.declaring import Source, read
from tests.docs import pages, reference

AGAIN = "python -m tests.docs.reference"
CONFIG = (pages.ROOT / "docs/reference/config.md").read_text(encoding="utf-8")


def test_commands_page_is_what_the_program_says() -> None:
    assert reference.COMMANDS.read_text(encoding="utf-8") == reference.commands(), AGAIN


def test_errors_page_has_every_class() -> None:
    assert reference.ERRORS.read_text(encoding="utf-8") == reference.errors(), AGAIN


def test_doctor_page_has_every_cause() -> None:
    assert reference.DOCTOR.read_text(encoding="utf-8") == reference.causes(), AGAIN
    known = [cause.id for cause in doctor.causes()]
    assert len(known) == len(set(known))


@pytest.mark.parametrize(
    "key",
    [
        *settings.TOP_KEYS,
        *settings.POOL_KEYS,
        *option_keys.ALL,
        settings.ENV_CONFIG,
        settings.ENV_STATE_DIR,
        requests.IFNAME_OPTION,
        requests.SYSCTLS_OPTION,
    ],
)
def test_everything_that_can_be_set_is_on_the_page(key: str) -> None:
    assert f"`{key}`" in CONFIG


def test_no_option_is_on_the_page_that_does_not_exist() -> None:
    shown = re.findall(r"^\| `([a-z_.]+)`", CONFIG, flags=re.MULTILINE)
    known = {*settings.TOP_KEYS, *settings.POOL_KEYS, *option_keys.ALL, *macvlan.MODES}
    assert set(shown) - known <= {requests.IFNAME_OPTION, requests.SYSCTLS_OPTION}


def test_examples_of_the_configuration_are_valid(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", CONFIG, flags=re.DOTALL)
    assert blocks
    for number, block in enumerate(blocks):
        file = tmp_path / f"{number}.toml"
        file.write_text(block)
        file.chmod(0o600)
        assert settings.load(config=str(file), environ={}) != settings.Settings()


def test_defaults_on_the_page_are_the_programs() -> None:
    default = settings.Settings()
    for key, value in (
        ("state_dir", default.state_dir),
        ("arp_rate", default.arp_rate),
        ("grace", default.grace),
    ):
        assert re.search(rf"^\| `{key}` \|.*`{value}`", CONFIG, flags=re.MULTILINE), key


def test_every_kind_of_difference_is_on_the_page() -> None:
    text = (pages.ROOT / "docs/reference/state.md").read_text(encoding="utf-8")
    kinds = {
        value
        for name, value in vars(checking).items()
        if name.isupper() and isinstance(value, str) and re.fullmatch(r"[a-z-]+", value)
    } - {"active", "joined", "same", "returned", "static"}
    assert {kind for kind in kinds if f"`{kind}`" not in text} == set()


LINK = re.compile(r"\]\(([^)#:]+)(#[^)]*)?\)")


@pytest.mark.parametrize("page", pages.pages())
def test_links_between_pages_lead_somewhere(page: str) -> None:
    path = pages.ROOT / page
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    dead = [m[1] for m in LINK.finditer(text) if not (path.parent / m[1]).exists()]
    assert dead == []


FILE = (pages.ROOT / "docs/reference/file.md").read_text(encoding="utf-8")


def test_every_key_of_a_file_is_on_its_page_and_no_other() -> None:
    shown = re.findall(r"^\| `([a-z0-9_]+)` \| (.*) \|$", FILE, flags=re.MULTILINE)
    tables = {**declared.NETWORK_KEYS, **declared.ENDPOINT_KEYS}
    assert [key for key, _ in shown] == [
        *declared.TOP_KEYS, *declared.NETWORK_KEYS, *declared.ENDPOINT_KEYS,
    ]  # fmt: skip
    for key, said in shown:
        if key in tables:
            kind = tables[key][1].removesuffix(" of texts")
            assert said.lower().startswith(kind), key


def test_examples_of_files_declare_what_they_show() -> None:
    [block] = re.findall(r"```toml\n(.*?)```", FILE, flags=re.DOTALL)
    found = read(Source("example", block))
    assert found.id and found.networks and found.reservations and found.endpoints
    assert read(Source("again", declared.written(found))) == found
