"""What Tab offers where, from the program's own commands and a state of real records."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click
import pytest

from macvnet import keys, option_keys
from macvnet.addresses import Address, Interval
from macvnet.annotations import KEYS as NETWORK_KEYS
from macvnet.cli import completing, filters
from macvnet.cli.completing import COMMAND, DIRECTORIES, FILES, OPEN, WORDS, Answer
from macvnet.cli.main import COMMANDS, walk
from macvnet.cli.parameters import Command, Flag
from macvnet.drivers import MODULES, driver
from macvnet.engine import suggesting
from macvnet.errors import InvalidRequest
from macvnet.ipam.runs import OpenRuns
from macvnet.kept import Kept
from macvnet.kernel import interfaces
from macvnet.model import Network, Owner
from macvnet.runtimes import Listed
from macvnet.store import Transaction, open_store
from tests.cli.fakes import endpoint, network

FREE = ("192.0.2.20-192.0.2.24", "192.0.2.100-192.0.2.120")
FREE6 = ("2001:db8::5-2001:db8::ffff",)


def interval(text: str) -> Interval:
    first, last = text.split("-")
    return Interval(Address.parse(first).value, Address.parse(last).value)


def write_network(tx: Transaction, one: Network, owners: Sequence[Owner] = ()) -> None:
    tx.put(keys.network(one.id), one.to_json())
    tx.put(keys.name(one.name), {"id": one.id})
    for number, owner in enumerate(owners, 1):
        joined = endpoint(one, number, id=f"{owner}".encode().hex(), owner=owner)
        tx.put(keys.endpoint(joined.id), joined.to_json())
        tx.put(keys.endpoints_of_network(one.id, joined.id), {})
        tx.put(keys.endpoints_of_owner(str(owner), joined.id), {})


def standard(tx: Transaction) -> None:
    lan = network("lan", 0xA1)
    by_name = [Owner("netns", "web"), Owner("netns", "db")]
    others = [Owner("pid", "4242", returns=False), Owner("path", "/run/my/ns")]
    write_network(tx, lan, by_name + others)
    write_network(tx, network("lab", 0xA2), [Owner("netns", "elsewhere")])
    write_network(tx, network("plan", 0xA3, config_only=True))
    for pool, ranges in (("p4", FREE), ("p6", FREE6)):
        OpenRuns(tx, pool, 6 if pool == "p6" else 4).add(
            Interval(0, (1 << 128) - 1 if pool == "p6" else (1 << 32) - 1),
            [interval(text) for text in ranges],
        )
    tx.put(keys.segment("tenant-a"), 1)


State = Callable[[Callable[[Transaction], object]], None]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    monkeypatch.setenv("MACVNET_STATE_DIR", str(tmp_path / "state"))

    def change(write: Callable[[Transaction], object]) -> None:
        with open_store(str(tmp_path / "state")) as store:
            store.transact(write)

    change(standard)
    return change


def ask(line: str) -> Answer:
    """The answer where ``|`` is in the line; words are separated by single spaces."""
    before, _, after = line.partition("|")
    words = before.split(" ")
    return completing.answer([*words, *after.split()], len(words) - 1)


def offered(line: str) -> list[str]:
    return [one.word for one in ask(line).candidates]


def test_commands_each_with_its_line_of_help() -> None:
    assert {one.word: one.about + "." for one in ask("|").candidates} == {
        name: line for name, (_, line) in COMMANDS.items()
    }
    assert offered("dis|") == ["disconnect"]
    assert offered("--verbose res|") == ["reserve", "restore"]
    assert offered("--state-dir x ch|") == ["check"]


def test_other_words_for_a_command_are_for_those_who_know_them() -> None:
    assert offered("l|") == ["ls", "log"]
    assert offered("li|") == ["list"]
    assert offered("rem|") == ["remove"]


def test_commands_of_a_group() -> None:
    assert offered("state |") == ["export", "import"]
    assert offered("state ex|") == ["export"]
    assert ask("state import |").kind == FILES


EVERY = {
    words: found.get_params(context)
    for words, context, found in walk()
    if isinstance(found, Command)
}


@pytest.mark.parametrize("words", EVERY)
def test_every_flag_of_every_command(words: str) -> None:
    flags = {
        flag for param in EVERY[words] if isinstance(param, click.Option) for flag in param.opts
    }
    assert {"--help", "--state-dir", "--verbose"} <= flags
    assert set(offered(f"{words} -|")) == flags
    assert set(offered(f"{words} --|")) == {flag for flag in flags if flag.startswith("--")}
    assert all(one.about for one in ask(f"{words} -|").candidates)


# Nobody can foresee these values.
FREE_TEXT = {
    "--subnet", "--gateway", "--ip-range", "--aux-address", "--exclude", "--label", "--ipam-opt",
    "--mac-address", "--ifname", "--gw-priority", "--alias", "--link-local-ip", "--name", "--dns",
    "--metric", "--route", "--since", "--tail", "--wait", "--grace", "--interval", "--count",
    "--range", "--ip6-token", "--rate",
}  # fmt: skip
OWN_NAMES = {("create", "network")}


@pytest.mark.parametrize("words", EVERY)
def test_every_value_has_something_to_offer_or_is_free_text(words: str, state: State) -> None:
    for param in EVERY[words]:
        known = param._custom_shell_complete is not None
        if isinstance(param, click.Argument):
            assert known is not ((words, param.name) in OWN_NAMES), param.name
        elif isinstance(param, click.Option) and not isinstance(param, Flag) and not param.is_flag:
            assert known is not (param.opts[-1] in FREE_TEXT), param.opts


def test_a_flag_that_is_given_is_not_offered_again_unless_it_may_be_repeated() -> None:
    assert "--driver" not in offered("create --driver macvlan --|")
    assert "--driver" not in offered("create --| -d macvlan")
    assert "--subnet" in offered("create --subnet 192.0.2.0/24 --|")
    assert offered("create -- --|") == []
    assert offered("run --net lan cat --|") == []


@pytest.mark.parametrize("word", ["ls --quiet=|", "create --ipv6=|", "create --ipv4=|"])
def test_a_flag_without_a_value_may_have_one(word: str) -> None:
    flag = word.split()[-1][:-1]
    assert offered(word) == [f"{flag}true", f"{flag}false"]


@pytest.mark.parametrize("flag", ["-d |", "-d|", "-d=|", "--driver |", "--driver=|", "-o a=b -d |"])
def test_drivers_however_the_flag_is_written(flag: str) -> None:
    if flag == "-d|":
        assert offered("create -dm|") == ["-dmacvlan"]
        return
    before = flag.rpartition(" ")[2].rstrip("|")
    assert offered(f"create {flag}") == [before + name for name in MODULES]


def test_options_of_the_driver_that_is_on_the_line() -> None:
    of_macvlan = [*option_keys.OF_DRIVER["macvlan"], *option_keys.COMMON]
    assert offered("create -o |") == [f"{key}=" for key in of_macvlan]
    assert ask("create -o |").kind == OPEN
    of_ipvlan = [*option_keys.OF_DRIVER["ipvlan"], *option_keys.COMMON]
    assert offered("create -d ipvlan -o |") == [f"{key}=" for key in of_ipvlan]
    assert offered("create -o | -d ipvlan") == [f"{key}=" for key in of_ipvlan]
    assert "parent=" not in offered("create -o parent=eth0 -o |")


@pytest.mark.parametrize("name", MODULES)
def test_values_of_options_are_those_that_the_driver_takes(name: str) -> None:
    chosen = driver(name)
    for key in (*option_keys.OF_DRIVER[name], *option_keys.COMMON):
        words = [word.rpartition("=")[2] for word in offered(f"create -d {name} -o {key}=|")]
        if key in chosen.WORDS:
            assert words == list(chosen.WORDS[key])
            for word in words:
                chosen.parse({key: word})
        elif key not in ("parent", "segment"):
            # Free text: one nobody would guess is accepted or a number is wanted.
            assert words == []
            with pytest.raises(InvalidRequest, match="range"):
                chosen.parse({key: "x"})


def test_parents_are_the_links_of_this_host() -> None:
    names = [name for name, _ in interfaces.names()]
    assert names
    assert "lo" not in names
    assert offered("create -o parent=|") == [f"parent={name}" for name in names]
    assert offered("create -oparent=|") == [f"-oparent={name}" for name in names]


def test_segments_that_there_are(state: State) -> None:
    assert offered("create -o segment=|") == ["segment=tenant-a"]


def test_networks_by_name_each_with_a_few_words(state: State) -> None:
    assert ask("rm |").candidates == (
        completing.Candidate("lab", "macvlan on eth0 2001:db8::/64 192.0.2.0/24"),
        completing.Candidate("lan", "macvlan on eth0 2001:db8::/64 192.0.2.0/24"),
        completing.Candidate("plan", "settings only"),
    )
    assert offered("inspect p|") == ["plan"]
    assert offered("check la|") == ["lab", "lan"]


def test_networks_that_are_on_the_line_are_not_offered_again(state: State) -> None:
    assert offered("rm lan |") == ["lab", "plan"]
    assert offered("rm | lan") == ["lab", "plan"]
    assert offered("detach --network lan --network | 4242") == ["lab"]


def test_only_networks_that_can_have_endpoints_are_offered_for_one(state: State) -> None:
    for line in ("connect |", "disconnect |", "attach --network |", "run --net |", "run --net=|"):
        assert [word.rpartition("=")[2] for word in offered(line)] == ["lab", "lan"], line
    assert offered("create --config-from |") == ["plan"]


def test_another_state_that_the_line_names(state: State, tmp_path: Path) -> None:
    assert offered(f"--state-dir {tmp_path}/other rm |") == []
    assert offered(f"rm --state-dir={tmp_path}/other |") == []
    assert offered(f"rm | --state-dir={tmp_path}/other") == []
    config = tmp_path / "config.toml"
    config.write_text(f'state_dir = "{tmp_path}/other"\n')
    del os.environ["MACVNET_STATE_DIR"]
    assert offered(f"rm --config {config} |") == []
    config.write_text(f'state_dir = "{tmp_path}/state"\n')
    assert offered(f"rm --config {config} |") == ["lab", "lan", "plan"]


def test_runtimes_to_import_from_and_files() -> None:
    assert offered("import |") == ["docker", "podman"]
    for line in ("import docker |", "apply |", "diff --prune |"):
        assert ask(line) == Answer(FILES)


def test_reservations_of_the_network_to_end(state: State) -> None:
    def keep(tx: Transaction) -> None:
        for name in ("web", "db"):
            kept = Kept("a1" * 32, Owner("docker", name), (("p4", Address.parse("192.0.2.77")),))
            tx.put(keys.kept(*kept.claim), kept.to_json())

    state(keep)
    assert offered("unreserve lan |") == ["docker:db", "docker:web"]
    assert ask("unreserve lan |").candidates[0].about == "192.0.2.77"
    assert offered("unreserve lan docker:w|") == ["docker:web"]
    assert offered("unreserve lan w|") == ["web"]
    assert offered("unreserve lab |") == offered("unreserve nothing |") == []
    assert offered("reserve lan docker:x --ip 192.0.2.1|")


def test_endpoints_of_the_network_to_disconnect_from(state: State) -> None:
    assert offered("disconnect lan |") == ["netns:web", "netns:db", "pid:4242", "path:/run/my/ns"]
    assert offered("disconnect lab |") == ["netns:elsewhere"]
    assert offered("disconnect plan |") == offered("disconnect nothing |") == []
    assert ask("disconnect lan |").candidates[0].about == "192.0.2.10/24 2001:db8::2/64"
    assert offered("disconnect lan netns:d|") == ["netns:db"]


def test_a_bare_name_is_offered_to_who_begins_with_one(state: State) -> None:
    assert offered("disconnect lan w|") == ["web"]
    assert offered("disconnect lan 42|") == ["4242"]
    assert offered("disconnect lan n|") == ["netns:web", "netns:db"]
    assert offered("detach e|") == ["elsewhere"]


def test_whatever_the_doctor_can_be_asked_about(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks, links and containers; each word once."""
    there = [Listed("lan"), Listed("netns:web")]
    monkeypatch.setattr(suggesting, "containers", lambda *_: there)
    words = offered("doctor |")
    assert {"lan", "lab", "plan", "netns:web"} <= set(words)
    assert {name for name, _ in interfaces.names()} <= set(words)
    assert len(words) == len(set(words))
    assert ask("doctor /run/|").kind == FILES


def test_no_process_is_offered_to_keep_an_address_for(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [Listed("pid:42"), Listed("42"), Listed("netns:web"), Listed("docker:42")]
    monkeypatch.setattr(suggesting, "containers", lambda *_: there)
    assert offered("connect lan |") == ["pid:42", "42", "netns:web", "docker:42"]
    assert offered("reserve lan |") == ["netns:web", "docker:42"]


def test_everything_connected_for_detach(state: State) -> None:
    assert set(offered("detach |")) == {
        "netns:web", "netns:db", "netns:elsewhere", "pid:4242", "path:/run/my/ns",
    }  # fmt: skip


def test_free_addresses_of_the_network_on_the_line(state: State) -> None:
    first = [f"192.0.2.{last}" for last in (20, 21, 22, 23, 24)]
    assert offered("connect --ip | lan") == first
    assert offered("connect lan --ip |") == first
    assert offered("connect lan --ip=|") == [f"--ip={address}" for address in first]
    assert offered("attach --network lan --ip | 4242") == first
    assert offered("run --net lan,ifname=x --ip |") == first
    assert offered("connect lan --ip 192.0.2.1|") == [f"192.0.2.{n}" for n in range(100, 105)]
    assert offered("connect lan --ip 192.0.2.12|") == ["192.0.2.120"]
    assert offered("connect lan --ip 192.0.2.2|") == first
    assert offered("connect lan --ip 10.|") == offered("connect lan --ip x.|") == []
    assert offered("connect lan --ip6 |") == [f"2001:db8::{n}" for n in (5, 6, 7, 8, 9)]


def test_no_address_where_it_is_not_clear_which_network_is_meant(state: State) -> None:
    assert offered("connect --ip |") == []
    assert offered("connect nothing --ip |") == []

    def only_lan(tx: Transaction) -> None:
        for number, name in ((0xA2, "lab"), (0xA3, "plan")):
            tx.delete(keys.network(network(name, number).id))
            tx.delete(keys.name(name))

    state(only_lan)
    assert offered("attach --ip |")[0] == "192.0.2.20"


def test_an_address_of_this_host_is_not_offered(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interfaces, "addresses", lambda: {Address.parse("192.0.2.21")})
    assert offered("connect lan --ip |") == [f"192.0.2.{n}" for n in (20, 22, 23, 24, 100)]


def test_keys_of_a_network_and_their_values(state: State) -> None:
    assert offered("attach --network lan,|") == [f"lan,{key}=" for key in NETWORK_KEYS]
    assert ask("attach --network lan,|").kind == OPEN
    assert "lan,ip=192.0.2.20,ip=" not in offered("attach --network lan,ip=192.0.2.20,|")
    assert offered("attach --network lan,ifname=x,ip=192.0.2.2|")[0] == (
        "lan,ifname=x,ip=192.0.2.20"
    )
    assert offered("run --net=lan,ip6=|")[0] == "--net=lan,ip6=2001:db8::5"
    assert offered("run --net name=lan,ip=|")[0] == "name=lan,ip=192.0.2.20"
    assert offered("run --net lan,driver-opt=|") == [
        f"lan,driver-opt=com.docker.network.endpoint.{key}=" for key in ("ifname", "sysctls")
    ]


def test_options_of_an_endpoint() -> None:
    assert offered("connect --driver-opt |") == [
        f"com.docker.network.endpoint.{key}=" for key in ("ifname", "sysctls")
    ]


def test_filters_and_their_values(state: State) -> None:
    assert offered("ls --filter |") == [f"{key}=" for key in filters.LS_KEYS]
    assert offered("prune --filter |") == [f"{key}=" for key in filters.PRUNE_KEYS]
    assert offered("ls -f dangling=|") == ["dangling=true", "dangling=false"]
    assert offered("ls -f driver=|") == ["driver=macvlan", "driver=ipvlan", "driver=null"]
    assert offered("ls -f name=la|") == ["name=lab", "name=lan"]
    assert offered("ls -f label=|") == offered("prune --filter dangling=|") == []
    for line in ("ls -f dangling=|", "ls -f driver=|", "ls -f scope=|", "ls -f type=|"):
        filters.for_ls(offered(line), lambda network: False)


@pytest.mark.parametrize("words", [w for w, params in EVERY.items() if any(
    "--format" in param.opts for param in params)])  # fmt: skip
def test_words_of_a_format_are_in_its_help(words: str) -> None:
    [option] = [param for param in EVERY[words] if "--format" in param.opts]
    assert isinstance(option, click.Option)
    found = offered(f"{words} --format |")
    assert found
    assert all(word in (option.help or "") for word in found)


def test_what_the_shell_completes_by_itself() -> None:
    assert ask("--state-dir |") == Answer(DIRECTORIES)
    assert ask("ls --config=/e|") == Answer(FILES, before="--config=")
    assert ask("connect lan /run/n|") == Answer(FILES)
    assert ask("disconnect lan ./n|") == Answer(FILES)
    assert ask("run --net lan -- |") == Answer(COMMAND, skip=4)
    assert ask("--verbose run --net lan cat /e|") == Answer(COMMAND, skip=4)


def test_small_sets_of_words() -> None:
    assert offered("completion |") == ["bash", "zsh", "fish"]
    assert offered("create --ipam-driver |") == ["default", "null"]
    assert offered("create --scope |") == ["local"]


@pytest.mark.parametrize(
    "line",
    ["nonsense |", "create a b |", "create --nonsense=|", "connect a b c |", "create x|",
     "create --subnet |", "ls |", "state export |", "ls -zz=|", "--nonsense=|", "state -x y|"],
)  # fmt: skip
def test_where_nothing_is_known_nothing_is_offered(line: str) -> None:
    assert ask(line) in (Answer(WORDS), Answer(WORDS, before=ask(line).before))


ODD = ["we b", "we$(id)", "we`id`", "we;id", "we\x1b[31m", "we\nb", "we'b", 'we"b', "we*", "wé",
       "we\\b", "we&", "we|x", "we>x", "we#", "we{a,b}", "we!1", "we~", "we?",
       "we\udcff"]  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_a_name_that_a_shell_would_not_take_as_it_is_is_not_offered(
    state: State, name: str
) -> None:
    if "\udcff" not in name:
        odd = network("odd", 0xB1)
        state(partial(write_network, one=odd, owners=[Owner("netns", name)]))
        assert offered("disconnect odd |") == []
    items = [completing.Candidate(name), completing.Candidate("web", "\x1b[31m a\n\tb" * 9)]
    (kept,) = completing._fitting(items, "")
    assert kept.word == "web"
    assert kept.about.isprintable()
    assert len(kept.about) <= completing.LONGEST_ABOUT


def test_of_many_endpoints_the_first_and_the_last_are_offered(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what a shell types, being common to all offered, is common to all there are."""
    monkeypatch.setattr(suggesting, "ENDPOINTS", 3)
    monkeypatch.setattr(suggesting, "OWNERS", 20)
    names = [f"a{number:02}" for number in range(50)] + ["z"]
    many = network("many", 0xB2)
    for begin in range(0, len(names), 20):
        owners = [Owner("netns", name) for name in names[begin : begin + 20]]
        state(partial(write_network, one=many, owners=owners))
    found = offered("disconnect many netns:|")
    assert found[:2] == ["netns:a00", "netns:a01"]
    assert found[-1] == "netns:z"
    assert offered("disconnect many netns:a4|") == [f"netns:a4{n}" for n in range(10)]
    assert offered("disconnect many z|") == ["z"]
    # It has one, somewhere among them: not found in so few records.
    monkeypatch.setattr(suggesting, "ENDPOINTS", 0)
    assert offered("disconnect lab |") == []
    assert offered("disconnect lab netns:e|") == ["netns:elsewhere"]


def test_of_many_networks_the_first_and_the_last_are_offered(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suggesting, "NAMES", 10)
    for number in range(40):
        state(partial(write_network, one=network(f"n{number:02}", number + 1)))
    assert offered("rm n|") == [f"n{i:02}" for i in range(10)] + ["n39"]
