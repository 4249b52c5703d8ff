"""``store.url`` of a Redis server: what may stand in it, and that its password is told to nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailbase.config import ConfigError, loads
from mailbase.config.redis import RedisPlace, parse_redis


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://r.example", RedisPlace((("r.example", 6379),))),
        ("redis://r.example:7000/3", RedisPlace((("r.example", 7000),), database=3)),
        ("REDIS://192.0.2.1/", RedisPlace((("192.0.2.1", 6379),))),
        ("redis://[2001:db8::1]:7000", RedisPlace((("2001:db8::1", 7000),))),
        ("redis://:s3cret@r/0", RedisPlace((("r", 6379),), password="s3cret")),
        ("redis://node:p%2Fw%40@x@r", RedisPlace((("r", 6379),), user="node", password="p/w@@x")),
        ("rediss://r", RedisPlace((("r", 6379),), tls=True)),
        (
            "redis+sentinel://a,b:1,[::1]/mymaster",
            RedisPlace((("a", 26379), ("b", 1), ("::1", 26379)), master="mymaster"),
        ),
        (
            "rediss+sentinel://u:p@a/m/7",
            RedisPlace((("a", 26379),), tls=True, user="u", password="p", master="m", database=7),
        ),
    ],
)
def test_urls(url: str, place: RedisPlace) -> None:
    assert parse_redis(url) == place
    assert loads(f"store: {{url: '{url}'}}").store.redis == place


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis:///0",
        "redis://r:0",
        "redis://r:65536",
        "redis://r/x",
        "redis://r/1/2",
        "redis://a,b/0",
        "redis://:s3cret/x@r",
        "redis://:s3cret@",
        "redis+sentinel://a,b",
        "redis+sentinel://a,b/",
        "redis+sentinel://a,,b/m",
        "redis+sentinel://a/m/0/1",
        "redis+sentinel://:s3cret@a:x/m",
        "redis+unix://:s3cret@/run/redis",
        "memcached://:s3cret@r",
    ],
)
def test_what_is_wrong_is_told_without_the_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loads(f"store: {{url: '{url}'}}")
    (problem,) = caught.value.problems
    assert problem.path == "store.url"
    assert "redis://HOST:PORT/DB" in problem.message
    assert "s3cret" not in str(caught.value)


def test_the_password_is_in_no_representation() -> None:
    assert "s3cret" not in repr(parse_redis("redis://:s3cret@r"))


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ("url: 'redis://:p@r', password_file: f", "store.password_file"),
        ("url: 'redis://r', ca_file: f", "store.ca_file"),
        ("url: 'rediss://r', sentinel_password_file: f", "store.sentinel_password_file"),
        ("url: 'redis://r', password_file: missing", "store.password_file"),
        ("url: 'redis://r', prefix: 'a b'", "store.prefix"),
        ("url: 'redis://r', prefix: ''", "store.prefix"),
        ("url: 'redis://r', timeout: 1s", "store.timeout"),
    ],
)
def test_keys_that_do_not_fit_together(tmp_path: Path, settings: str, key: str) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(ConfigError) as caught:
        loads(f"store: {{{settings}}}", folder=tmp_path)
    assert [problem.path for problem in caught.value.problems] == [key]
