"""docs/configuration.md names every key, with its bounds and its default, and no key that is not there."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from pydantic import BaseModel

from mailbase.config import FINDING_NAMES, ConfigError, Settings, loads
from mailbase.config.engines import CommandSettings
from mailbase.config.lists import ListKind, ListSettings
from mailbase.registry.file import RegistryFile
from mailbase.vocabulary import UNSCANNED_REASONS, Flow

TEXT = (Path(__file__).parents[4] / "docs" / "configuration.md").read_text(encoding="utf-8")
MAIN, REGISTRY = TEXT.split("## Registry file")


class Row(NamedTuple):
    key: str
    value: str
    default: str


def rows(text: str) -> dict[str, Row]:
    found = re.findall(r"^\| `([^`]+)` \|[^|\n]*\| ([^|\n]*) \| ([^|\n]*) \|$", text, re.M)
    result = {key: Row(key, value, default) for key, value, default in found}
    assert len(result) == len(found), "a key stands twice"
    return result


def models(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """The models below a field with what leads to them: "" (itself), "[]" (a list) or ".NAME" (a mapping)."""
    if isinstance(annotation, type) and not typing.get_args(annotation) and issubclass(annotation, BaseModel):
        yield "", annotation
    step = {tuple: "[]", dict: ".NAME"}.get(typing.get_origin(annotation), "")  # type: ignore[call-overload]
    for argument in typing.get_args(annotation):
        for deeper, model in models(argument):
            yield step + deeper, model


def keys(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Every key that is worth a row: leaves, and sections that may be absent or are lists or mappings."""
    for name, field in model.model_fields.items():
        here = f"{path}{field.alias or name}"
        below = list(models(field.annotation))
        if not below or type(None) in typing.get_args(field.annotation) or below[0][0]:
            yield here
        for step, deeper in below:
            yield from keys(deeper, f"{here}{step}.")


def documented(key: str) -> str:
    key = re.sub(r"\b(SERVER|DOMAIN)\b", "NAME", key)
    key = re.sub(r"^((?:policyd|contentfilter)\.replies)\.(?:REASON|NAME)$", r"\1", key)
    return re.sub(
        r"^flows\.FLOW\.(actions|unscanned|points|checks\.\w+\.(points|actions))\.\w+$", r"flows.FLOW.\1", key
    )


def test_every_key_is_documented_and_nothing_else() -> None:
    there = {re.sub(r"^flows\.(\w+)", "flows.FLOW", key) for key in keys(Settings)}
    there -= {"contentfilter.listeners[]"}
    written = {documented(key) for key in rows(MAIN) if "." in key or key == "registry"}
    assert written == there


def test_every_key_of_the_registry_is_documented_and_nothing_else() -> None:
    written = {documented(key) for key in rows(REGISTRY)}
    assert written | {"servers.NAME.domains.NAME"} >= set(keys(RegistryFile))
    assert written == set(keys(RegistryFile))


def plain_defaults() -> dict[str, str]:
    """Documented defaults that are YAML in backquotes, by key."""
    return {
        row.key: row.default.strip("`")
        for row in rows(MAIN).values()
        if re.fullmatch(r"`[^`]+`", row.default) and "[]" not in row.key and "FLOW" not in row.key
    }


def flow_defaults() -> dict[str, str]:
    """Likewise of what each flow has, where the page names one default for all of them."""
    return {
        row.key: row.default.strip("`")
        for row in rows(MAIN).values()
        if re.fullmatch(r"`[^`]+`", row.default) and re.fullmatch(r"flows\.FLOW\.[a-z_.]+", row.key)
    }


@pytest.mark.parametrize("key", flow_defaults())
def test_the_documented_default_is_that_of_each_flow(key: str) -> None:
    for flow in Flow:
        named = key.replace("FLOW", flow)
        value = attrgetter(named)
        # Not the settings as a whole: to name a check turns it on.
        assert value(loads("", [f"{named}={flow_defaults()[key]}"])) == value(Settings()), named


@pytest.mark.parametrize("key", plain_defaults())
def test_the_documented_default_is_the_default(key: str) -> None:
    if found := re.match(r"contentfilter\.(clamd|rspamd|spamassassin|signing)\.", key):
        section = f"contentfilter: {{{found[1]}: {{}}}}"
        assert loads(section, [f"{key}={plain_defaults()[key]}"]) == loads(section)
    elif key.startswith("contentfilter.command."):
        absent = loads("contentfilter: {command: {run: /bin/true}}")
        assert (
            loads("contentfilter: {command: {run: /bin/true}}", [f"{key}={plain_defaults()[key]}"]) == absent
        )
    elif key.startswith("policyd.lists.NAME."):
        kind = "dnsbl" if key.endswith(".families") else "rhsbl"
        lists = f"policyd: {{lists: {{name: {{kind: {kind}, zone: x.example}}}}}}"
        named = key.replace("NAME", "name")
        assert loads(lists, [f"{named}={plain_defaults()[key]}"]) == loads(lists)
    elif key.startswith("contentfilter.urls.lists.NAME."):
        lists = "contentfilter: {urls: {lists: {name: {zone: x.example}}}}"
        named = key.replace("NAME", "name")
        assert loads(lists, [f"{named}={plain_defaults()[key]}"]) == loads(lists)
    else:
        assert loads("", [f"{key}={plain_defaults()[key]}"]) == Settings()


def test_most_defaults_are_compared() -> None:
    assert len(plain_defaults()) > 35


BOUNDED = {
    row.key: found[0] for row in rows(MAIN).values() if (found := re.search(r"\w+ to \w+$", row.value))
}


@pytest.mark.parametrize("key", BOUNDED)
@pytest.mark.parametrize("beyond", ["999999999999", "100000000d", "1000TiB"])
def test_the_documented_bounds_are_the_bounds(key: str, beyond: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loads("", [f"{key}={beyond}"])
    message = caught.value.problems[0].message
    if "got '" not in message:  # else the unit is not one of this key
        assert message.startswith(f"expected {BOUNDED[key]}, got ")


def test_bounds_are_documented_at_all() -> None:
    assert len(BOUNDED) > 20


@pytest.mark.parametrize(("table", "names"), [("actions", FINDING_NAMES), ("unscanned", UNSCANNED_REASONS)])
def test_the_tables_of_actions_are_those_built_in(table: str, names: frozenset[str]) -> None:
    heading = {"actions": "| Finding | inbound |", "unscanned": "| Reason | inbound |"}[table]
    lines = TEXT[TEXT.index(heading) :].split("\n\n")[0].splitlines()
    flows = [Flow(cell.strip()) for cell in lines[0].split("|")[2:6]]
    assert set(flows) == set(Flow)
    written = {
        cells[1].strip(" `"): [cell.strip() for cell in cells[2:6]]
        for line in lines[2:]
        if (cells := line.split("|"))
    }
    assert written.keys() == names
    for name, actions in written.items():
        assert actions == [getattr(Settings().flows.of(flow), table)[name] for flow in flows], name


def test_the_full_example_names_every_key() -> None:
    example = yaml.safe_load(
        (Path(__file__).parents[4] / "examples" / "postwarden.yaml").read_text(encoding="utf-8")
    )

    def there(data: Any, path: str) -> Iterator[str]:
        if isinstance(data, dict):
            for key, value in data.items():
                yield f"{path}{key}"
                yield from there(value, f"{path}{key}.")
        elif isinstance(data, list):
            for value in data:
                yield from there(value, path.rstrip(".") + "[].")

    named = {re.sub(r"\.limits\.[^.]+", ".limits.NAME", key) for key in there(example, "")}
    elsewhere = re.compile(
        r"flows\.(outbound\.|submission\.|upstream\.limits)|policyd\.lists\.NAME\.|"
        r"contentfilter\.(command|rspamd|signing|spamassassin|urls\.lists\.NAME\.)"
    )
    wanted = {key for key in keys(Settings) if not elsewhere.match(key)}
    assert wanted - named == set()


def test_the_example_of_a_second_engine_that_is_commented_out_names_every_key_and_shows_the_defaults() -> (
    None
):
    text = (Path(__file__).parents[4] / "examples" / "postwarden.yaml").read_text(encoding="utf-8")
    command = re.search(r"^  # command:\n(?:  #   .*\n)+", text, re.M)
    assert command is not None
    configuration = {"contentfilter": yaml.safe_load(re.sub(r"^  # ", "  ", command[0], flags=re.M))}
    shown = loads(yaml.safe_dump(configuration, sort_keys=False)).contentfilter.command
    assert shown is not None
    assert shown.model_fields_set == set(CommandSettings.model_fields)
    assert shown == CommandSettings(run=shown.run)


@pytest.mark.parametrize("name", ["rspamd", "signing", "spamassassin"])
def test_the_example_of_a_section_that_is_commented_out_shows_every_default(name: str) -> None:
    text = (Path(__file__).parents[4] / "examples" / "postwarden.yaml").read_text(encoding="utf-8")
    section = re.search(rf"^  # {name}:\n(?:  #   .*\n)+", text, re.M)
    assert section is not None
    configuration = {"contentfilter": yaml.safe_load(re.sub(r"^  # ", "  ", section[0], flags=re.M))}
    shown = getattr(loads(yaml.safe_dump(configuration)).contentfilter, name)
    assert shown.model_fields_set == set(type(shown).model_fields)
    assert shown == type(shown)()


def test_the_example_of_lists_that_is_commented_out_names_every_key_and_loads() -> None:
    text = (Path(__file__).parents[4] / "examples" / "postwarden.yaml").read_text(encoding="utf-8")
    lists = re.search(r"^  # lists:\n(?:  #   .*\n)+", text, re.M)
    points = re.search(r"^  # To go with it, under flows\.inbound\.checks:\n((?:  #   .*\n)+)", text, re.M)
    assert lists is not None
    assert points is not None
    policyd, checks = (
        yaml.safe_load(re.sub(r"^  # ", "  ", part, flags=re.M)) for part in (lists[0], points[1])
    )
    configuration = {"policyd": policyd, "flows": {"inbound": {"checks": checks}}}
    settings = loads(yaml.safe_dump(configuration, sort_keys=False))
    named = {key for one in settings.policyd.lists.values() for key in one.model_fields_set}
    assert named == set(ListSettings.model_fields)
    assert {one.kind for one in settings.policyd.lists.values()} == set(ListKind)
    for kind in ListKind:
        assert settings.flows.inbound.checks.of(kind).points


def test_every_key_that_a_page_names_is_there() -> None:
    known = {".".join(key.split(".")[:depth]) for key in rows(MAIN) for depth in range(1, key.count(".") + 2)}
    sections = "|".join(Settings.model_fields)
    # Names of an operator's own, and what comes behind them.
    free = r"flows\.FLOW\.(points|actions|unscanned|limits|checks\.\w+\.(points|actions))\."
    free += r"|policyd\.lists\.|contentfilter\.(urls\.lists|listeners)\.|\w+\.replies\."
    # Clues, and files, that are called alike.
    free += r"|statistics\.(spam|ham)$|\w+\.(py|service|socket)$"
    for page in sorted((Path(__file__).parents[4] / "docs").glob("*.md")):
        named = re.findall(rf"`((?:{sections})(?:\.\w+)+)[`:]", page.read_text(encoding="utf-8"))
        keys_named = {re.sub(rf"^flows\.({'|'.join(Flow)})\b", "flows.FLOW", key) for key in named}
        unknown = {key for key in keys_named - known if not re.match(free, key)}
        assert not unknown, page.name
