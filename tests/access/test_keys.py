from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.access.keys import KeyFile
from tocsin.access.keys import Key, KeyTable, digest_of, new_secret, read_keys, write_keys
from tocsin.access.rights import Patterns
from tocsin.errors import SettingsError

HASH = "sha256:" + "0" * 64


def test_keys_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = str(tmp_path / "keys.toml")
    until = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
    ci = Key(
        name="ci",
        digests=(b"1" * 32, b"2" * 32),
        publish=Patterns(["ci/*", "a~b@c"]),
        is_admin=True,
    )
    ops = Key(name="ops-1", digests=(b"3" * 32,), end=Patterns(["*"]), expires_at=until)
    write_keys(path, {"ci": ci, "ops-1": ops})
    assert read_keys(path) == [ci, ops]


def test_file_holds_no_secret_and_is_its_owners_alone(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    keys.add("ci")
    assert keys.secrets["ci"] not in Path(keys.path).read_text()
    assert stat.S_IMODE(os.stat(keys.path).st_mode) == 0o600


def test_file_keeps_its_mode_when_it_is_written_again(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    os.chmod(keys.path, 0o640)
    keys.add("ci")
    assert stat.S_IMODE(os.stat(keys.path).st_mode) == 0o640
    assert os.listdir(tmp_path) == ["keys.toml"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[a", "not a TOML file"),
        ("a = 1", "a table"),
        ('["a b"]\nsecrets = []', "a b"),
        ("[a]", "a.secrets"),
        ('[a]\nsecrets = ["sha256:12"]', "a.secrets"),
        (f'[a]\nsecrets = ["{HASH}", "{HASH}", "{HASH}"]', "1 to 2"),
        (f'[a]\nsecrets = ["{HASH}"]\npublsh = []', "a.publsh"),
        (f'[a]\nsecrets = ["{HASH}"]\npublish = "x"', "a.publish"),
        (f'[a]\nsecrets = ["{HASH}"]\nsubscribe = ["a*b"]', "a.subscribe"),
        (f'[a]\nsecrets = ["{HASH}"]\nadmin = 1', "a.admin"),
        (f'[a]\nsecrets = ["{HASH}"]\nexpires = 2027-01-01', "a.expires"),
        (f'[a]\nsecrets = ["{HASH}"]\n[b]\nsecrets = ["{HASH}"]', "twice"),
    ],
)
def test_broken_file_is_named_with_what_is_wrong(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(content)
    with pytest.raises(SettingsError) as refused:
        read_keys(str(path))
    assert said in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_file_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    os.chmod(keys.path, 0o666)
    with pytest.raises(SettingsError, match="chmod"):
        read_keys(keys.path)


def test_both_secrets_of_a_key_are_good_while_they_are_changed() -> None:
    first, second = new_secret(), new_secret()
    table = KeyTable([Key(name="a", digests=(digest_of(first), digest_of(second)))])
    found = [table.find(digest_of(secret)) for secret in (first, second, new_secret())]
    assert [principal and principal.name for principal in found] == ["key:a", "key:a", None]


def test_unchanged_key_stays_the_same_principal_in_a_new_table_and_a_changed_one_does_not() -> None:
    digest, other = digest_of("1"), digest_of("2")
    before = KeyTable([Key(name="a", digests=(digest,)), Key(name="b", digests=(other,))])
    a, b = before.find(digest), before.find(other)
    after = KeyTable(
        [
            Key(name="a", digests=(digest,)),
            Key(name="b", digests=(other,), publish=Patterns(["x"])),
        ],
        before,
    )
    assert a
    assert b
    assert after.has(a)
    assert not after.has(b)
    assert not KeyTable([], before).has(a)
