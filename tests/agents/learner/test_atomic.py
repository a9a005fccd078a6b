"""Folders and files that appear whole or not at all."""

import os

import pytest

from turnwise.agents.learner.atomic import new_directory, remove_directory, remove_unfinished, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_has_its_name_only_when_it_is_complete(tmp_path):
    final = tmp_path / "a"
    with new_directory(final) as draft:
        (draft / "inner").mkdir()
        (draft / "inner" / "file").write_text("x")
        assert not final.exists()
    assert (final / "inner" / "file").read_text() == "x"
    assert names(tmp_path) == ["a"]


def test_a_folder_whose_writing_fails_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError), new_directory(tmp_path / "a") as draft:
        (draft / "missing" / "file").write_text("x")
    assert names(tmp_path) == []


def test_an_existing_folder_is_not_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(FileExistsError, match="exists"), new_directory(tmp_path / "a"):
        pass


def test_everything_reaches_the_disk_before_the_name_does(tmp_path, monkeypatch):
    events = []
    paths = {}
    real_open, real_sync, real_rename = os.open, os.fsync, os.rename

    def note_open(path, *rest, **options):
        handle = real_open(path, *rest, **options)
        paths[handle] = os.path.basename(path)
        return handle

    monkeypatch.setattr(os, "open", note_open)
    monkeypatch.setattr(os, "fsync", lambda handle: (events.append(paths.get(handle)), real_sync(handle)))
    monkeypatch.setattr(os, "rename", lambda a, b: (events.append("rename"), real_rename(a, b)))
    with new_directory(tmp_path / "a") as draft:
        (draft / "one").write_text("1")
        (draft / "two").write_text("2")
    assert sorted(events[:2]) == ["one", "two"]
    assert events[2:] == [".unfinished-a", "rename", tmp_path.name]


def test_a_text_is_replaced_as_a_whole(tmp_path, monkeypatch):
    file = tmp_path / "latest"
    write_text(file, "old")

    def fail(*_):
        raise OSError("stop")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="stop"):
        write_text(file, "new")
    assert file.read_text() == "old"
    monkeypatch.undo()
    write_text(file, "new")
    assert file.read_text() == "new"


def test_a_folder_loses_its_name_before_its_contents(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("x")
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)  # as if stopped before anything was removed
    remove_directory(tmp_path / "a")
    assert names(tmp_path) == [".unfinished-a"]
    monkeypatch.undo()
    (tmp_path / ".unfinished-latest").write_text("part")
    remove_unfinished(tmp_path)
    assert names(tmp_path) == []
