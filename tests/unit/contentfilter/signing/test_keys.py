"""Key files: whole or not there, and for nobody else to read."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from contentfilter.signing import keys
from contentfilter.signing.public import Algorithm, KeyProblem

ME = os.geteuid()
BOTH: list[tuple[str, Algorithm]] = [
    ("dkim001", "rsa-sha256"),
    ("dkim002", "rsa-sha256"),
    ("ed", "ed25519-sha256"),
]
NOW = 1_790_000_000.25


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "dkim"


def quick(folder: Path, selector: str = "ed", now: float = NOW) -> Path:
    keys.make(folder, selector, "ed25519-sha256", now)
    return keys.path_of(folder, selector)


def refused(folder: Path, owner: int = ME) -> str:
    with pytest.raises(KeyProblem) as caught:
        keys.public_keys(folder, BOTH, owner)
    return str(caught.value)


def test_a_key_is_made_for_nobody_else(folder: Path) -> None:
    made = keys.make(folder, "dkim001", "rsa-sha256", NOW)
    path = folder / "dkim001.pem"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(folder) == ["dkim001.pem"]
    assert keys.public_keys(folder, BOTH, ME) == (made,)
    assert (made.selector, made.bits, made.made) == ("dkim001", 2048, 1_790_000_000.0)
    # With nothing changed by whoever copies it, its age included.
    os.utime(path, (0, 0))
    assert keys.public_keys(folder, BOTH, ME) == (made,)


def test_signs_what_its_public_half_verifies(folder: Path) -> None:
    quick(folder)
    key = keys.signing_key(folder, "ed", ME)
    assert (key.selector, key.algorithm, len(key.sign(b"x"))) == ("ed", "ed25519-sha256", 64)
    with pytest.raises(KeyProblem, match="is not there"):
        keys.signing_key(folder, "dkim001", ME)


def test_the_newest_of_each_kind_is_first(folder: Path) -> None:
    selectors: list[tuple[str, Algorithm]] = [(name, "ed25519-sha256") for name in ("one", "two", "three")]
    for name, age in (("one", 30), ("two", 10), ("three", 20)):
        quick(folder, name, NOW - age)
    rsa_key = keys.make(folder, "dkim001", "rsa-sha256", NOW - 1000)
    found = keys.public_keys(folder, [*selectors, ("dkim001", "rsa-sha256")], ME)
    assert [key.selector for key in found] == ["dkim001", "two", "three", "one"]
    assert found[0] == rsa_key


def test_a_key_is_not_overwritten_by_accident(folder: Path) -> None:
    path = quick(folder)
    before = path.read_bytes()
    with pytest.raises(KeyProblem, match="is there already"):
        quick(folder)
    assert path.read_bytes() == before
    assert keys.make(folder, "ed", "ed25519-sha256", NOW, replace=True).name
    assert path.read_bytes() != before
    assert os.listdir(folder) == ["ed.pem"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_key_that_others_can_read_is_refused(folder: Path, mode: int) -> None:
    path = quick(folder)
    path.chmod(mode)
    assert refused(folder) == (
        f"{path} is open to others than its owner (mode {mode:04o}), and DKIM keys are for contentfilter "
        f"alone: chmod 600 {path}"
    )


def test_a_folder_that_others_can_use_is_refused(folder: Path) -> None:
    quick(folder)
    folder.chmod(0o750)
    assert f"chmod 700 {folder}" in refused(folder)


def test_a_key_of_somebody_else_is_refused(folder: Path) -> None:
    quick(folder)
    assert f"{folder} belongs to user {ME} and not to user 4711" in refused(folder, 4711)
    assert f"chown 4711 {folder}" in refused(folder, 4711)


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    path = quick(folder)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert "cannot be read" in refused(folder)


def test_what_is_no_file_does_not_block(folder: Path) -> None:
    quick(folder).unlink()
    os.mkfifo(folder / "ed.pem", 0o600)
    assert "it is no file" in refused(folder)


def pem(private: object, encryption: object = None) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())  # type: ignore[attr-defined, no-any-return]


CONTENTS = {
    "nothing": (b"", "holds no private key in PEM form"),
    "noise": (b"\xff" * 100, "holds no private key in PEM form"),
    "cut off": (pem(ec.generate_private_key(ec.SECP256R1()))[:-30], "holds no private key in PEM form"),
    "damaged": (
        b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
        "holds no private key that can be used",
    ),
    "another kind": (pem(ec.generate_private_key(ec.SECP256R1())), "neither RSA nor Ed25519"),
    "too short": (pem(rsa.generate_private_key(65537, 1024)), "of 1024 bits; expected 2048 to 4096"),
    "locked": (
        pem(ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"x")),
        "without a password",
    ),
    "too long": (b" " * keys.MAX_FILE + b"-----BEGIN PRIVATE KEY-----", "holds no private key in PEM form"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_what_is_no_key(folder: Path, name: str) -> None:
    content, why = CONTENTS[name]
    quick(folder).write_bytes(content)
    text = refused(folder)
    assert why in text
    assert str(folder / "ed.pem") in text


def test_a_key_of_the_other_kind_is_refused(folder: Path) -> None:
    quick(folder).rename(folder / "dkim001.pem")
    assert "has a key for ed25519-sha256, but selector dkim001 is for rsa-sha256" in refused(folder)


def test_no_folder(folder: Path) -> None:
    assert refused(folder) == f"{folder} cannot be used for DKIM keys: No such file or directory"
    folder.write_text("x")
    assert "it is no folder" in refused(folder)


def test_a_key_of_another_program_is_as_old_as_its_file(folder: Path) -> None:
    path = quick(folder)
    path.write_bytes(re.sub(rb"Made: .*\n", b"", path.read_bytes()))
    os.utime(path, (1_600_000_000, 1_600_000_000))
    assert keys.public_keys(folder, BOTH, ME)[0].made == 1_600_000_000
    path.write_bytes(b"Made: 2026-13-99T00:00:00Z\n" + path.read_bytes())
    os.utime(path, (1_600_000_000, 1_600_000_000))
    assert keys.public_keys(folder, BOTH, ME)[0].made == 1_600_000_000


def test_a_folder_whose_place_is_not_there_is_told_with_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(
        KeyProblem, match=f"no folder {tmp_path}/state; make it first.*install -d -o postwarden"
    ):
        keys.make(tmp_path / "state" / "dkim", "ed", "ed25519-sha256", NOW)
