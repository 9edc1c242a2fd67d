"""`tocsin tail`."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.commands import COMMAND, environment, on_a_terminal, refusal, tocsin
from tests.cli.conftest import StartCommand
from tests.client.scripted import STREAM, Scripted, answer
from tests.conftest import StartHub
from tests.hub_process import HubProcess
from tests.patience import PATIENCE_S, wait_until

QUICK = b"retry: 100\n"


def tail(hub: HubProcess, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return tocsin("tail", *arguments, env={"TOCSIN_URL": hub.url, **more})


def test_events_are_shown_for_people(hub: HubProcess) -> None:
    hub.publish("deploy", "Shop 4.2 is out", data={"version": "4.2"}, topic="people/a")
    hub.publish("seen", "two\nlines", topic="people/b")
    said = tail(hub, "people/*", "--after", "earliest", "--count", "2")
    first, second = said.stdout.splitlines()
    assert re.fullmatch(
        r'\d\d:\d\d:\d\d  deploy  people/a  Shop 4\.2 is out  \{"version":"4\.2"\}', first
    )
    assert second.endswith("seen  people/b  two\\u000alines")
    assert (said.returncode, said.stderr) == (0, "")


def test_events_are_shown_as_json(hub: HubProcess) -> None:
    published = hub.publish("seen", "é\x9b\u202e", topic="as-json")
    said = tail(hub, "as-json", "--last", "1", "--count", "1", "--json", "--type", "seen")
    event = json.loads(said.stdout)
    assert (event["id"], event["type"]) == (published["id"], "seen")
    assert event["data"]["message"] == "é\x9b\u202e"
    assert "é\\u009b\\u202e" in said.stdout


def test_colors_are_for_terminals_and_text_can_not_command_one(hub: HubProcess) -> None:
    hub.publish("seen", "\x1b[2Jgone\x07\x9b31m", topic="colors")
    command = ("tail", "colors", "--last", "1", "--count", "1")
    shown = on_a_terminal(*command, env={"TOCSIN_URL": hub.url})
    assert "\x1b[" in shown
    assert "\x1b[2J" not in shown
    assert "\\u001b[2Jgone\\u0007\\u009b31m" in shown
    plain = on_a_terminal(*command, env={"TOCSIN_URL": hub.url, "NO_COLOR": "1"})
    assert "\x1b" not in plain
    assert "\x1b" not in tail(hub, *command[1:]).stdout


def test_cursor_goes_on_where_it_stopped(hub: HubProcess, tmp_path: Path) -> None:
    cursor = tmp_path / "cursor"
    ids = [hub.publish(topic="cursor")["id"] for _ in range(3)]
    command = ("cursor", "--json", "--cursor", str(cursor), "--after", "earliest", "--count", "2")
    first = tail(hub, *command)
    assert cursor.read_text() == ids[1] + "\n"
    ids.append(hub.publish(topic="cursor")["id"])
    second = tail(hub, *command)
    seen = [json.loads(line)["id"] for said in (first, second) for line in said.stdout.splitlines()]
    assert seen == ids
    assert [path.name for path in tmp_path.iterdir()] == ["cursor"]


def test_cursor_is_there_before_the_first_event(
    hub: HubProcess, start: StartCommand, tmp_path: Path
) -> None:
    cursor = tmp_path / "cursor"
    command = start("tail", "none-yet", "--cursor", str(cursor))
    wait_until(cursor.exists)
    command.stop()
    id = hub.publish(topic="none-yet")["id"]
    said = tail(hub, "none-yet", "--cursor", str(cursor), "--count", "1", "--json")
    assert json.loads(said.stdout)["id"] == id


def test_command_gets_each_event_on_its_input_and_failing_leaves_the_cursor(
    hub: HubProcess, tmp_path: Path
) -> None:
    cursor, seen = tmp_path / "cursor", tmp_path / "it's seen"
    handler = tmp_path / "handler.sh"
    handler.write_text('#!/bin/sh\nread -r event\necho "$event" >> "$1"\ncase $event in *bad*) exit 9;; esac\n')  # fmt: skip
    handler.chmod(0o755)
    ids = [hub.publish(message=text, topic="exec")["id"] for text in ("a", "bad $(b)", "c")]
    command = (
        *("exec", "--after", "earliest", "--cursor", str(cursor)),
        *("--exec", f'{handler} "{seen}"'),
    )
    failed = tail(hub, *command)
    assert (failed.returncode, failed.stdout) == (5, "")
    assert failed.stderr == f"tocsin: tail: the command ended with 9, on event {ids[1]}\n"
    assert cursor.read_text() == ids[0] + "\n"
    handler.write_text('#!/bin/sh\ncat >> "$1"\n')
    done = tail(hub, *command, "--count", "2")
    assert (done.returncode, cursor.read_text()) == (0, ids[2] + "\n")
    events = [json.loads(line) for line in seen.read_text().splitlines()]
    assert [event["id"] for event in events] == [ids[0], ids[1], ids[1], ids[2]]
    assert events[1]["data"]["message"] == "bad $(b)"


def test_command_that_does_not_read_is_no_error(hub: HubProcess) -> None:
    hub.publish(message="x" * 60_000, topic="unread")
    assert tail(hub, "unread", "--last", "1", "--count", "1", "--exec", "true").returncode == 0


def test_hub_that_goes_and_comes_is_told_of_and_gaps_too(
    start_hub: StartHub, start: StartCommand
) -> None:
    hub = start_hub("--canary", "0", "--retry", "1000")
    before = hub.publish()["id"]
    options = ("--url", hub.url, "--json", "--last", "1")
    command, strict = start("tail", *options), start("tail", *options, "--stop-at-gap", "--quiet")
    wait_until(lambda: command.lines and strict.lines)
    hub.restart()
    wait_until(lambda: "tail: connected again" in command.said)
    wait_until(lambda: "tail: events missing here (restart)" in command.said)
    assert any("trying again in " in line for line in command.said)
    after = hub.publish()["id"]
    wait_until(lambda: len(command.lines) == 3)
    first, gap, second = map(json.loads, command.lines)
    assert (first["id"], gap["type"], second["id"]) == (before, "gap", after)
    assert strict.wait() == 6
    assert strict.said == ["tail: events missing here (restart)"]


def test_job_is_followed_to_its_end(hub: HubProcess, start: StartCommand) -> None:
    command = start("tail", "job/9", "--after", "earliest", "--json")
    for options in ((), ("--final",)):
        said = tocsin("publish", "step", "--topic", "job/9", "--url", hub.url, *options)
        assert said.returncode == 0
    assert command.wait() == 0
    assert [json.loads(line)["type"] for line in command.lines] == ["notification"] * 2 + ["end"]


def test_end_of_the_topics_is_the_end(tmp_path: Path) -> None:
    body = b'event: done\ndata: {}\nid: 1-1\n\nevent: end\ndata: {"topic": "job"}\n\n'
    with Scripted(STREAM + QUICK + body, answer(204)) as server:
        said = tocsin("tail", "job", "--json", "--url", server.url)
    assert said.returncode == 0
    assert [json.loads(line)["type"] for line in said.stdout.splitlines()] == ["done", "end"]
    assert "tail: the topic job has ended" in said.stderr


def test_interrupt_ends_it_without_a_traceback(hub: HubProcess, start: StartCommand) -> None:
    hub.publish(topic="interrupt")
    command = start("tail", "interrupt", "--last", "1")
    wait_until(lambda: command.lines)
    command.signal(signal.SIGINT)
    assert command.wait() == 130
    assert "Traceback" not in "".join(command.said)


def test_reader_that_leaves_ends_it_before_the_next_event(hub: HubProcess) -> None:
    for _ in range(3):
        hub.publish(topic="head")
    script = f'"{COMMAND[0]}" -m tocsin tail head --last 3 | head -n 1'
    ran = subprocess.run(
        ["bash", "-c", script + "; exit ${PIPESTATUS[0]}"],
        capture_output=True,
        env=environment(TOCSIN_URL=hub.url),
        timeout=PATIENCE_S,
        check=False,
    )
    assert (ran.stdout.count(b"\n"), ran.stderr, ran.returncode) == (1, b"", 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--exec", "no-such-command-here"], "--exec"),
        (["--exec", "'"], "--exec: No closing quotation"),
        (["--cursor", "/none/here"], "--cursor: /none/here: No such file"),
        (["--last", "0"], "--last"),
    ],
)
def test_wrong_command_line_is_one_line_and_code_2(arguments: list[str], said: str) -> None:
    code, out, error = refusal("tail", *arguments)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert said in error


def test_cursor_that_is_none_is_refused(tmp_path: Path) -> None:
    for content in (b"\xff\xfe", b"1-1\n2-2\n", b"x" * 2000):
        (tmp_path / "cursor").write_bytes(content)
        code, _, error = refusal("tail", "--cursor", str(tmp_path / "cursor"))
        assert (code, error.count("\n")) == (2, 1)


def test_refusal_is_code_3(hub: HubProcess) -> None:
    result = tail(hub, "no such topic")
    assert (result.returncode, result.stderr.count("\n")) == (3, 1)


def test_token_is_not_seen_in_the_list_of_processes(hub: HubProcess, start: StartCommand) -> None:
    hub.publish(topic="ps")
    command = start("tail", "ps", "--last", "1", env={"TOCSIN_TOKEN": "not-to-be-seen"})
    wait_until(lambda: command.lines)
    with open(f"/proc/{command.pid}/cmdline", "rb") as line:
        assert b"not-to-be-seen" not in line.read()
