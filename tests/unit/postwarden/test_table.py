"""Tables for the terminal: nothing is cut off."""

from postwarden import table


def test_columns_are_as_wide_as_their_longest_cell():
    text = table.render(("a", "long title"), [("wide cell", "x"), ("y", "z")], 80)
    assert text.splitlines() == [
        "a          long title",
        "---------  ----------",
        "wide cell  x",
        "y          z",
    ]


def test_what_does_not_fit_is_wrapped_in_the_widest_column():
    text = table.render(("id", "answer"), [("1", "one two three four five six seven eight nine ten")], 30)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 30
    assert (
        " ".join(" ".join(line.split()) for line in lines[2:])
        == "1 one two three four five six seven eight nine ten"
    )
    assert lines[3].startswith("    "), "the second line stands under its own column"


def test_a_narrow_terminal_still_shows_every_character():
    cell = "x" * 50
    text = table.render(("a", "b"), [(cell, cell)], 10)
    assert text.count("x") == 100


def test_empty_cells_leave_no_blanks_at_line_ends():
    assert all(line == line.rstrip() for line in table.render(("a", "b"), [("x", "")], 40).splitlines())
