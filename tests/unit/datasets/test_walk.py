from sdc.datasets.walk import SUFFIXES, files_below


def test_files_are_sorted_links_are_followed_and_litter_is_left_out(tmp_path):
    for name in ("b/2.png", "b/1.PNG", "a.jpg", "b/.hidden.png", ".hidden/3.png", "Thumbs.db", "b/notes.txt"):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/4.png").touch()
    (tmp_path / "root/c").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/b/up").symlink_to(tmp_path / "root")
    assert list(files_below(tmp_path / "root")) == ["a.jpg", "b/1.PNG", "b/2.png", "b/notes.txt", "c/4.png"]


def test_suffixes_are_lower_case():
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SUFFIXES)
