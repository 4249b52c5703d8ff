"""Whatever stands in a file: settings or a ConfigError, and lines that exist."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbase.config import ConfigError, Settings, load, loads
from mailbase.registry import Registry, load_registry

BOUNDED = settings(max_examples=250, deadline=None)

KEYS = [
    *(
        "identity",
        "hostname",
        "contact",
        "store",
        "url",
        "on_error",
        "flows",
        "inbound",
        "upstream",
        "actions",
        "unscanned",
    ),
    *(
        "virus",
        "failed",
        "greylisting",
        "policyd",
        "listen",
        "greylist",
        "delay",
        "network_v4",
        "clients",
        "exempt",
        "metrics",
    ),
    *(
        "contentfilter",
        "listeners",
        "reinject",
        "flow",
        "clamd",
        "workers",
        "deadline",
        "spool",
        "memory",
        "privacy",
        "key_file",
    ),
    *(
        "servers",
        "default_server",
        "upstreams",
        "systems",
        "a.example",
        "B.example",
        "domains",
        "backup",
        "addresses",
    ),
    *("administrators", "name", "email", "existing"),
]
words = st.sampled_from(KEYS)
scalars = st.one_of(
    words,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        [
            "5m",
            "51MiB",
            "127.0.0.1:1",
            "unix:/x",
            "192.0.2.0/24",
            "::1",
            "a@a.example",
            "reject",
            "data:x",
            "\0",
            ".",
        ]
    ),
)
trees = st.recursive(
    scalars,
    lambda below: (
        st.lists(below, max_size=4) | st.dictionaries(words | st.text(max_size=5), below, max_size=5)
    ),
    max_leaves=25,
)
yamlish = st.lists(
    st.sampled_from([*KEYS, ": ", ":\n", "\n", "  ", "- ", "[", "]", "{", "}", ", ", "&a ", "*a", "<<: "])
    | st.sampled_from(["!!int ", "'", '"', "|\n", "? ", "#", "5m"])
    | st.text(max_size=3),
    max_size=30,
).map("".join)  # fmt: skip


def outcome(content: bytes, overrides: list[str]) -> Settings | ConfigError:
    try:
        return loads(content, overrides, source="f")
    except ConfigError as error:
        return error


def check(content: bytes, overrides: list[str]) -> None:
    result = outcome(content, overrides)
    if isinstance(result, ConfigError):
        assert result.problems
        # YAML 1.1 ends lines with each of these.
        lines = 1 + sum(content.count(end.encode()) for end in "\n\r\x85\u2028\u2029")
        for problem in result.problems:
            assert str(problem).isprintable()
            assert problem.message
            assert problem.source != "f" or 0 <= problem.line <= lines + 1


@BOUNDED
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    check(content, [])


@BOUNDED
@given(yamlish)
def test_any_text_in_the_way_of_yaml(text: str) -> None:
    check(text.encode("utf-8", "surrogatepass"), [])


@BOUNDED
@given(st.dictionaries(words, trees, max_size=4))
def test_any_tree_of_our_own_keys(tree: object) -> None:
    check(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"), [])


SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "identity": trees,
        "store": trees,
        "flows": st.dictionaries(st.sampled_from(["inbound", "upstream"]), trees),
        "policyd": st.dictionaries(st.sampled_from(["listen", "greylist", "metrics", "control"]), trees),
        "contentfilter": st.dictionaries(st.sampled_from(["listeners", "clamd", "workers", "spool"]), trees),
        "privacy": trees,
    },
)


@BOUNDED
@given(SECTIONS)
def test_wrong_values_in_the_right_places(tree: object) -> None:
    check(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"), [])


@BOUNDED
@given(
    st.lists(
        st.builds(
            lambda keys, value: ".".join(keys) + "=" + value, st.lists(words | st.text(max_size=3)), yamlish
        )
        | st.text(),
        max_size=3,
    )
)
def test_any_override(overrides: list[str]) -> None:
    check(b"policyd: {listen: ['127.0.0.1:1']}\n", overrides)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


SERVERS = st.dictionaries(
    st.sampled_from(["a.example", "A.example", "b.example", "bücher.example", "x"]),
    st.fixed_dictionaries(
        {},
        optional={
            "domains": st.dictionaries(st.sampled_from(["a.example", "c.example", "C.example"]), trees)
            | trees,
            "systems": st.lists(
                st.sampled_from(["192.0.2.0/24", "192.0.2.1/24", "::/0", "a.example", "p.example"])
            )
            | trees,
            "addresses": trees,
            "backup": scalars,
        },
    ),
)


@BOUNDED
@given(
    st.fixed_dictionaries(
        {}, optional={"servers": SERVERS, "upstreams": trees, "default_server": scalars, "systems": trees}
    )
)
def test_any_registry(folder: Path, tree: object) -> None:
    path = folder / "r.yaml"
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8", errors="surrogatepass")
    try:
        registry = load_registry(path)
    except ConfigError:
        return
    assert isinstance(registry, Registry)


@BOUNDED
@given(st.text(max_size=40))
def test_any_path(text: str) -> None:
    with pytest.raises(ConfigError):
        load(Path("/nonexistent") / ("x" + text))
