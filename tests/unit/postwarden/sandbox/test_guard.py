"""The guard ends and removes what is ours, and nothing else."""

import os

from postwarden.sandbox.guard import MARK, master_pid, remove_tree, start_time


def test_a_process_is_known_by_its_start():
    assert start_time(os.getpid()) == start_time(os.getpid()) is not None
    assert start_time(2**22 + 1) is None


def test_only_folders_with_our_mark_are_removed(tmp_path):
    foreign, ours = tmp_path / "foreign", tmp_path / "ours"
    for folder in (foreign, ours):
        folder.mkdir()
        (folder / "file").touch()
    (ours / MARK).touch()
    remove_tree(foreign)
    remove_tree(ours)
    assert foreign.exists()
    assert not ours.exists()


def test_a_pid_file_may_be_missing_or_nonsense(tmp_path):
    path = tmp_path / "master.pid"
    assert master_pid(path) is None
    path.write_text("nonsense")
    assert master_pid(path) is None
    path.write_text("   1234\n")
    assert master_pid(path) == 1234
