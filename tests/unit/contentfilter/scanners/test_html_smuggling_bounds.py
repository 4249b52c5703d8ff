"""How much of a web page is unwrapped and looked at, and that it takes no longer than that."""

from __future__ import annotations

import base64
import random
import time
import zlib

import pytest

from contentfilter.content.limits import Budget
from contentfilter.content.part import Context, Part
from contentfilter.content.scan import ScanOptions
from contentfilter.scanners.html_smuggling import HtmlSmuggling
from mailbase.vocabulary import Finding, Unscanned
from tests.samples.noise import noise

from .smuggling import BUILD, FORMS, found, page


def test_layers_are_bounded():
    script = BUILD % "x"
    for _ in range(15):
        script = f'eval(atob("{base64.b64encode(script.encode()).decode()}"));'
    assert found(page(script, build="")) == set()
    scripts = (
        f"function f{number}() {{ return {number}; }} // and so on, and on, and on" for number in range(200)
    )
    many = "".join(f'atob("{base64.b64encode(script.encode()).decode()}");' for script in scripts)
    assert found(page(many, build="")) == {"html-smuggling"}


def test_decoys_in_front_of_the_data_are_told():
    decoys = "".join(f"'{base64.b64encode(b'%050d' % number).decode()}';" for number in range(3000))
    assert "executable" in found(page(decoys + FORMS["one literal"]))
    more = "".join(f"'{number:064d}';" for number in range(21_000))
    assert "html-smuggling" in found(page(more + FORMS["one literal"], build=""))


def test_data_that_unpacks_to_much_is_bounded():
    bombs = (zlib.compress(bytes((number,)) * (15 << 20)) for number in range(20))
    script = "".join(f'x("{base64.b64encode(bomb).decode()}");' for bomb in bombs)
    started = time.process_time()
    assert "too-large" in found(page(script))
    assert time.process_time() - started < 10


def test_percent_signs_beside_unescape_are_no_layers():
    assert found(page("x = unescape(y); // 100 % and %41", build="")) == set()


def test_what_is_handed_out_is_bounded():
    archives = (base64.b64encode(b"PK\x03\x04" + noise(40, seed)).decode() for seed in range(300))
    many = "".join(f"<a href='data:x/y;base64,{archive}'>" for archive in archives)
    assert "too-large" in found(b"<html>" + many.encode())


@pytest.mark.parametrize(
    "piece",
    [
        b"data:", b"data:a;base64,AAAA", b"\"+", b"'   ", b"\\x41", b"&#65;", b"%41", b"0x4,", b"1, ", b"ab ",
        b"A" * 70 + b" ", b"onload ", b"<script ", b"'a.js'", b"_0x1234 ", b"`", b"<!ENTITY", b"unescape(",
        b"A" * 63 + b"!", b"0" * 127 + b"g",
    ],
)  # fmt: skip
def test_what_is_built_to_stall(piece: bytes):
    started = time.process_time()
    found(b"<html><script>createObjectURL unescape" + piece * (800_000 // len(piece)))
    assert time.process_time() - started < 10


def looked_at(page: bytes) -> tuple[set[str], Budget]:
    part, budget = Part("page", page), Budget(ScanOptions())
    items = list(HtmlSmuggling().scan(part, Context(part, budget)))
    return {item.detail for item in items if isinstance(item, Finding | Unscanned)}, budget


def test_what_is_unwrapped_again_and_again_counts_more():
    once = b"<html><script>unescape(document.write('" + b"%41%42x" * 1000
    often = once.replace(b"%", b"%2525252525")
    _details, few = looked_at(once)
    _details, many = looked_at(often)
    assert few.work < 64 * len(once)
    assert many.work > 64 * 3 * len(once)


def test_each_text_that_is_decoded_counts():
    text = b"".join(b"'%s'!" % base64.b64encode(random.Random(n).randbytes(51)) for n in range(100))
    _details, budget = looked_at(b"<html><script>" + text)
    assert budget.work >= 100 * 32 * 1024


def test_many_calls_that_save_something_are_too_many_to_look_at():
    page = b"<html><script>createobjecturl('x.js');" + b"saveas(,"
    assert looked_at(page * 2)[0] == set()
    assert looked_at(page + b"saveas(," * 10_001)[0] == {"more than is looked at"}


def test_digits_of_scripts_count():
    _details, words = looked_at(b"<html><script>" + b"abcdef " * 10_000)
    _details, numbers = looked_at(b"<html><script>" + b"65,660," * 10_000)
    assert numbers.work > 2 * words.work


@pytest.mark.parametrize("address", [b"=search:", b"=\\\\a.bb", b"=file:\\\\a.bb."])
def test_addresses_that_are_looked_at_far_count(address: bytes):
    _details, budget = looked_at(b"<html><script>" + address * 1000)
    assert budget.work >= 1000 * 4 * 1024
