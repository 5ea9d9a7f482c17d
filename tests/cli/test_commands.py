"""Every command: what it asks of the engine, what it prints, how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from macvnet.model import Change, CreateRequest, EndpointRequest
from macvnet.runner import RunRequest
from tests.cli.conftest import Macvnet, Said
from tests.cli.fakes import FakeEngine, network

LAN = "a1" * 32


def test_create_passes_on_what_was_typed_and_prints_the_id(
    macvnet: Macvnet, engine: FakeEngine
) -> None:
    said = macvnet(
        *"create -dipvlan --subnet 192.0.2.0/24,198.51.100.0/24 --subnet=2001:db8::/64".split(),
        *"--gateway 192.0.2.1 --ip-range=192.0.2.8-192.0.2.9,192.0.2.64/26 lan".split(),
        *"--aux-address a=192.0.2.5,x --exclude 192.0.2.7,192.0.2.6 -o parent=eth0,x".split(),
        *"-omtu=1400 --internal --ipv4=false --ipv6 --label a,b=c --ipam-driver null".split(),
        *"--ipam-opt k=v,w --config-from base --attachable=true --scope local".split(),
    )
    assert said == Said(0, "01" * 32 + "\n", "")
    assert engine.asked == [
        (
            "create",
            CreateRequest(
                name="lan",
                driver="ipvlan",
                subnets=("192.0.2.0/24", "198.51.100.0/24", "2001:db8::/64"),
                gateways=("192.0.2.1",),
                ip_ranges=("192.0.2.8-192.0.2.9", "192.0.2.64/26"),
                aux_addresses=("a=192.0.2.5,x",),
                excludes=("192.0.2.7", "192.0.2.6"),
                options=("parent=eth0,x", "mtu=1400"),
                internal=True,
                ipv4=False,
                ipv6=True,
                labels=("a,b=c",),
                ipam_driver="null",
                ipam_options=("k=v,w",),
                config_only=False,
                config_from="base",
                attachable=True,
                scope="local",
            ),
            False,
        )
    ]


def test_create_without_flags_leaves_everything_open(macvnet: Macvnet, engine: FakeEngine) -> None:
    macvnet("create", "lan")
    macvnet("create", "--config-only", "-d", "x", "--driver", "macvlan", "lan")
    assert [call[1] for call in engine.asked] == [
        CreateRequest("lan"),
        CreateRequest("lan", config_only=True),
    ]


def test_a_dry_run_prints_changes_and_no_id(macvnet: Macvnet, engine: FakeEngine) -> None:
    said = macvnet("create", "--dry-run", "lan")
    assert said == Said(0, "create network lan\ncreate link eth0.50\n", "")
    assert engine.asked[0][2] is True
    assert macvnet("rm", "--dry-run", "lan") == Said(0, "remove network lan\n", "")
    assert macvnet("prune", "--dry-run") == Said(0, "remove network lan\n", "")
    assert macvnet("connect", "lan", "42", "--dry-run").out == "create endpoint 42\n"
    assert macvnet("attach", "42", "--net", "lan", "--dry-run").out == "create endpoint lan\n"
    assert macvnet("detach", "--dry-run", "42").out == "remove endpoint 42\n"
    assert macvnet("disconnect", "--dry-run", "lan", "42") == Said(
        0, "", "macvnet: note: nothing to do\n"
    )
    assert all(call[-1] is True for call in engine.asked)
    assert [one.name for one in engine.known] == ["lan"]


def test_verbose_stands_before_or_after_the_command(macvnet: Macvnet) -> None:
    for words in (["--verbose", "create", "x"], ["create", "x", "--verbose"]):
        assert macvnet(*words).err == "+ ip link add eth0.50\n"
    assert macvnet("--verbose", "create", "x", "--verbose=false").err == ""


def test_state_dir_and_config_stand_before_or_after_the_command(
    macvnet: Macvnet, engine: FakeEngine, tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    config = tmp_path / "c.toml"
    config.write_text("arp_rate = 3\n")
    config.chmod(0o600)
    macvnet("--state-dir", "/before", "ls", "--config", str(config))
    assert (engine.settings.state_dir, engine.settings.arp_rate) == ("/before", 3)
    macvnet(f"--config={config}", "--state-dir=/before", "ls", "--state-dir", "/after")
    assert (engine.settings.state_dir, engine.settings.arp_rate) == ("/after", 3)


def test_rm_prints_each_term_as_typed_and_goes_on(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known = [network("a", 1), network("b", 2), network("c", 3)]
    engine.busy = {"b"}
    said = macvnet("rm", "a", "b", "02" * 32, "nope", "03" * 32, "c")
    assert said.out == "a\n" + "03" * 32 + "\n"
    assert said.status == 5
    assert said.err.splitlines() == [
        "macvnet: network 'b' has endpoints",
        "hint: macvnet disconnect",
        "macvnet: network 'b' has endpoints",
        "hint: macvnet disconnect",
        "macvnet: network 'nope' does not exist",
        "hint: macvnet ls",
        "macvnet: network 'c' does not exist",
        "hint: macvnet ls",
    ]


def test_force_silences_only_what_does_not_exist(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.busy = {"lan"}
    assert macvnet("rm", "-f", "nope") == Said(0, "", "")
    assert macvnet("remove", "--force", "nope", "lan").status == 5


def test_connect_and_disconnect_are_silent(macvnet: Macvnet, engine: FakeEngine) -> None:
    flags = "--ip 192.0.2.9 --ip6 2001:db8::9 --mac-address 4a:00:00:00:00:01 --ifname wan0"
    lists = (
        "--gw-priority -5 --no-default-route --metric 70 --route 10.0.0.0/8=192.0.2.1 "
        "--alias a,b --alias c --driver-opt x=1,y=2 --link-local-ip 169.254.1.1 --ip6-token ::9 "
        "--rate 10mbit"
    )
    said = macvnet("connect", *flags.split(), "lan", "netns:web", *lists.split())
    assert said == Said(0, "", "")
    assert macvnet("disconnect", "-f", "lan", "42") == Said(0, "", "")
    assert macvnet("disconnect", "lan", "42", "--force=0") == Said(0, "", "")
    assert engine.asked == [
        (
            "connect",
            "lan",
            "netns:web",
            EndpointRequest(
                ip="192.0.2.9",
                ip6="2001:db8::9",
                mac="4a:00:00:00:00:01",
                ifname="wan0",
                gw_priority=-5,
                aliases=("a", "b", "c"),
                driver_options=("x=1", "y=2"),
                link_local=("169.254.1.1",),
                no_default_route=True,
                metric=70,
                routes=("10.0.0.0/8=192.0.2.1",),
                ip6_token="::9",
                rate="10mbit",
            ),
            False,
        ),
        ("disconnect", "lan", "42", True, False),
        ("disconnect", "lan", "42", False, False),
    ]


def test_attach_prints_a_line_for_each_endpoint(macvnet: Macvnet, engine: FakeEngine) -> None:
    engine.known.append(network("v50", 0xB2))
    said = macvnet(
        "attach", "--net", "name=lan,ip=192.0.2.10,mac=4a:00:00:00:00:01,ifname=x0", "4242",
        "--network=v50,ip6=2001:db8::5,gw-priority=7,alias=a,alias=b,mac-address=m,driver-opt=k=v,"
        "metric=9,route=10.0.0.0/8=192.0.2.1,route=10.0.0.0/9=192.0.2.2,policy-routes,no-default-route=0",
    )  # fmt: skip
    tail = "4a:11:6b:03:9e:42 192.0.2.10/24 2001:db8::2/64 gateway 192.0.2.1"
    assert said == Said(0, f"eth0 {tail}\neth1 {tail}\n", "")
    assert engine.asked == [
        (
            "attach",
            "4242",
            (
                ("lan", EndpointRequest("192.0.2.10", "", "4a:00:00:00:00:01", "x0")),
                (
                    "v50",
                    EndpointRequest(
                        *("", "2001:db8::5", "m", "", 7, ("a", "b"), ("k=v",)),
                        metric=9,
                        routes=("10.0.0.0/8=192.0.2.1", "10.0.0.0/9=192.0.2.2"),
                        policy_routes=True,
                    ),
                ),
            ),
            False,
        )
    ]


def test_attach_prints_json_for_scripts(macvnet: Macvnet) -> None:
    said = macvnet("attach", "--format", "json", "--net", "lan", "4242")
    assert json.loads(said.out) == [
        {
            "container": "netns:web",
            "network": "lan",
            "network_id": LAN,
            "endpoint_id": "e1" * 32,
            "interface": "eth0",
            "mac": "4a:11:6b:03:9e:42",
            "addresses": ["192.0.2.10/24", "2001:db8::2/64"],
            "gateways": ["192.0.2.1"],
        }
    ]


def test_attach_alone_leaves_the_choice_to_the_engine(macvnet: Macvnet, engine: FakeEngine) -> None:
    macvnet("attach", "4242")
    assert engine.asked == [("attach", "4242", (), False)]


def test_single_flags_are_for_one_network(macvnet: Macvnet, engine: FakeEngine) -> None:
    macvnet("attach", "4242", "--ip", "192.0.2.9")
    macvnet("attach", "4242", "--net", "lan,ifname=x", "--ip", "192.0.2.9")
    assert [call[2] for call in engine.asked] == [
        ((LAN, EndpointRequest("192.0.2.9")),),
        (("lan", EndpointRequest("192.0.2.9", ifname="x")),),
    ]
    engine.known.append(network("v50", 0xB2))
    several = macvnet("attach", "4242", "--net", "lan", "--net", "v50", "--ip", "192.0.2.9")
    assert several.err.startswith("macvnet: --ip is for one network, and there are 2\nhint: ")
    unclear = macvnet("attach", "4242", "--gw-priority", "3")
    assert unclear == Said(5, "", "macvnet: there are 2 networks: lan, v50\nhint: --network lan\n")
    twice = macvnet("attach", "4242", "--net", "lan,ip=192.0.2.8", "--ip", "192.0.2.9")
    assert twice.status == 3
    engine.known.clear()
    assert macvnet("attach", "4242", "--ip", "192.0.2.9").status == 4
    assert len(engine.asked) == 2


@pytest.mark.parametrize(
    ("text", "status", "message", "hint"),
    [
        ("lan,iip=1", 3, "unknown key 'iip' of --network", "--network NET,ip=VALUE"),
        ("lan,zzz=1", 3, "unknown key 'zzz' of --network", "one of ip, "),
        ("lan,ip", 3, "key 'ip' of --network has no value", "--network NET,ip="),
        ("ip=1", 3, "--network 'ip=1' does not begin with a network", "--network NET,ip="),
        ("", 3, "--network '' does not begin with a network", "--network NET,ip="),
        ("lan,gw-priority=x", 2, "flag '--network NET,gw-priority' takes a number", None),
        ("lan,metric=x", 2, "flag '--network NET,metric' takes a number", None),
        ("lan,policy-routes=x", 2, "flag '--network NET,policy-routes' takes true or", None),
        ("lan,route", 3, "key 'route' of --network has no value", "--network NET,ip="),
    ],
)
def test_a_wrong_network_word_is_named(
    macvnet: Macvnet, text: str, status: int, message: str, hint: str | None
) -> None:
    said = macvnet("attach", "--network", text, "42")
    assert (said.status, said.out) == (status, "")
    first, second = said.err.splitlines()
    assert first.startswith(f"macvnet: {message}")
    assert hint is None or second.startswith(f"hint: {hint}")


def test_detach_names_networks_or_none(macvnet: Macvnet, engine: FakeEngine) -> None:
    assert macvnet("detach", "42", "--network", "lan", "--net=b") == Said(0, "", "")
    macvnet("detach", "42")
    assert engine.asked == [
        ("detach", "42", ("lan", "b"), False),
        ("detach", "42", (), False),
    ]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[RunRequest]:
    """What the runner is asked for; its command ends with 7."""
    asked: list[RunRequest] = []

    def fake(engine: object, request: RunRequest, *, note: object, on_started: Any) -> int:
        asked.append(request)
        if request.detach:
            on_started("ab" * 32)
        return 0 if request.detach else 7

    monkeypatch.setattr("macvnet.runner.run", fake)
    return asked


def test_run_hands_all_to_the_runner_and_ends_as_the_command(
    macvnet: Macvnet, runs: list[RunRequest]
) -> None:
    said = macvnet(
        *"run --net lan,ifname=x --ip 192.0.2.9 --name web -it --rm --dns 192.0.2.53".split(),
        *"--dns=2001:db8::53 ip --help -d --rm=false".split(),
    )
    assert said == Said(7, "", "")
    assert runs == [
        RunRequest(
            command=("ip", "--help", "-d", "--rm=false"),
            name="web",
            wanted=(("lan", EndpointRequest("192.0.2.9", ifname="x")),),
            interactive=True,
            tty=True,
            dns=("192.0.2.53", "2001:db8::53"),
            remove=True,
        )
    ]
    macvnet("run", "--", "--", "x")
    assert runs[1] == RunRequest(command=("--", "x"))


def test_a_detached_run_prints_its_id(macvnet: Macvnet, runs: list[RunRequest]) -> None:
    assert macvnet("run", "-itd", "--net=lan", "--", "sleep", "9") == Said(0, "ab" * 32 + "\n", "")
    assert (runs[0].detach, runs[0].interactive, runs[0].tty) == (True, True, True)


def test_a_run_is_foreseen(
    macvnet: Macvnet, runs: list[RunRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "macvnet.runner.foresee.foresee",
        lambda engine, request: (Change("create", "sandbox", f"run:{request.name}"),),
    )
    said = macvnet("run", "--dry-run", "--name", "web", "--net", "lan", "true")
    assert said == Said(0, "create sandbox run:web\n", "")
    assert runs == []


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["create"], "'create' requires exactly 1 argument", "macvnet create [OPTIONS] NETWORK"),
        (["create", "a", "b"], "'create' requires exactly 1 argument", None),
        (
            ["connect", "a"],
            "'connect' requires exactly 2 arguments",
            "macvnet connect [OPTIONS] NETWORK [CONTAINER]",
        ),
        (["connect"], "'connect' requires at least 1 argument", None),
        (["connect", "a", "b", "c"], "'connect' requires at most 2 arguments", None),
        (["doctor", "a", "b"], "'doctor' requires at most 1 argument", None),
        (
            ["remove"],
            "'rm' requires at least 1 argument",
            "macvnet rm [OPTIONS] NETWORK [NETWORK...]",
        ),
        (["ls", "x"], "'ls' accepts no arguments", "macvnet ls [OPTIONS]"),
        (["prune", "x"], "'prune' accepts no arguments", None),
        (
            ["attach"],
            "'attach' requires at least 1 argument",
            "macvnet attach [OPTIONS] PID [PID...]",
        ),
        (["run"], "'run' requires at least 1 argument", "macvnet run [OPTIONS] COMMAND [ARG...]"),
        (["crate"], "unknown command 'crate'", "did you mean create?"),
        (["zzzz"], "unknown command 'zzzz'", "macvnet --help"),
        (["--verbos", "ls"], "unknown flag '--verbos'", "did you mean --verbose?"),
        (["create", "--subnets", "x", "y"], "unknown flag '--subnets'", "did you mean --subnet?"),
        (["create", "--subnet"], "flag '--subnet' needs a value", "macvnet create --help"),
    ],
)
def test_usage_is_explained(
    macvnet: Macvnet, words: list[str], message: str, hint: str | None
) -> None:
    said = macvnet(*words)
    assert (said.status, said.out) == (2, "")
    lines = said.err.splitlines()
    assert lines[0] == f"macvnet: {message}"
    assert hint is None or lines[1] == f"hint: {hint}"
    assert len(lines) == 2


def test_macvnet_alone_explains_itself_on_stderr(macvnet: Macvnet) -> None:
    said = macvnet()
    assert (said.status, said.out) == (0, "")
    assert said.err.startswith("Usage: macvnet [OPTIONS] COMMAND")
    assert macvnet("--version").out == "macvnet 0.1.0\n"


def test_reserve_prints_the_addresses_and_unreserve_nothing(
    macvnet: Macvnet, engine: FakeEngine
) -> None:
    assert macvnet("reserve", "--ip=192.0.2.9", "lan", "docker:web") == Said(
        0, "192.0.2.9\n2001:db8::20\n", ""
    )
    dry = macvnet("unreserve", "--dry-run", "lan", "docker:web")
    assert dry == Said(0, "remove reservation for docker:web\n", "")
    assert macvnet("unreserve", "lan", "docker:web") == Said(0, "", "")
    assert macvnet("reserve", "--dry-run", "--ip6=2001:db8::7", "lan", "netns:a").out == (
        "create reservation for netns:a\n"
    )
    assert engine.asked == [
        ("reserve", "lan", "docker:web", "192.0.2.9", "", False),
        ("unreserve", "lan", "docker:web", True),
        ("unreserve", "lan", "docker:web", False),
        ("reserve", "lan", "netns:a", "", "2001:db8::7", True),
    ]
    assert macvnet("unreserve", "lan", "docker:none").status == 4


def test_export_prints_a_file_and_says_what_is_left_out(
    macvnet: Macvnet, engine: FakeEngine
) -> None:
    engine.known.append(network("a.b", 2))
    note = "macvnet: note: 2 endpoints of bare PIDs are left out: "
    said = macvnet("export")
    assert (
        said.out == '[networks.lan]\ndriver = "macvlan"\n\n[networks."a.b"]\ndriver = "macvlan"\n'
    )
    assert said.err.startswith(note)
    assert macvnet("export", "a.b").out == '[networks."a.b"]\ndriver = "macvlan"\n'
    assert macvnet("export", "none").status == 4


def test_diff_and_apply_print_the_steps(
    macvnet: Macvnet, engine: FakeEngine, tmp_path: Path
) -> None:
    file = tmp_path / "file.toml"
    file.write_text('id = "office"\n[networks.lan]\n[networks.new]\n[networks.more]\n')
    steps = "create network new driver macvlan\ncreate network more driver macvlan\n"
    assert macvnet("diff", str(file)) == Said(11, steps, "")
    assert macvnet("apply", "--dry-run", str(file)) == Said(0, steps, "")
    assert engine.asked == []
    assert macvnet("apply", str(file)) == Said(0, steps, "")
    assert engine.asked == [("apply", "office", ["new", "more"])]
    engine.busy = {"more"}
    partly = macvnet("apply", str(file))
    assert (partly.status, partly.out) == (13, steps)
    assert "network more: it is there\n" in partly.err and "1 of 2 steps failed" in partly.err
    engine.busy = {"more", "new"}
    assert macvnet("apply", str(file)).status == 5
    engine.differs = True
    refused = macvnet("apply", str(file))
    assert (refused.status, refused.out) == (5, "")
    assert macvnet("apply", "--dry-run", str(file)).status == 5
    assert macvnet("diff", str(file)).out.startswith("change network lan: gateway is 1, not 2\n")
    engine.differs = False
    file.write_text('id = "office"\n')
    assert macvnet("diff", str(file)) == Said(0, "", "")
    assert macvnet("diff", "--prune", str(file)) == Said(11, "remove network lan\n", "")
    file.write_text("[networks.lan]\n")
    assert macvnet("apply", "--prune", str(file)).status == 3
    assert macvnet("apply", str(tmp_path / "none")).status == 4


def test_import_prints_a_file_from_what_others_printed(macvnet: Macvnet, tmp_path: Path) -> None:
    document = {
        "Name": "lan", "Driver": "macvlan", "IPAM": {"Config": [{"Subnet": "192.0.2.0/24"}]},
        "Options": {"parent": "eth0"},
    }  # fmt: skip
    file = tmp_path / "docker.json"
    file.write_text(json.dumps([document, {"Name": "host", "Driver": "host"}]))
    said = macvnet("import", "docker", str(file))
    assert said.status == 0
    assert said.out == (
        '[networks.lan]\ndriver = "macvlan"\nsubnet = "192.0.2.0/24"\nopt = { parent = "eth0" }\n'
    )
    assert said.err == "macvnet: note: network 'host' is left out: its driver is 'host'\n"
    assert macvnet("import", "podman", str(file)).status == 3
    file.write_text("{")
    assert macvnet("import", "docker", str(file)).status == 3
    dicker = macvnet("import", "dicker")
    assert (dicker.status, dicker.err.splitlines()[1]) == (3, "hint: macvnet import docker")
