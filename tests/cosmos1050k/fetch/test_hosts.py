"""Pages of the hosts become their files; over the registry, every address is one file's."""

from urllib.parse import urlsplit

import pytest

from cosmos1050k import sources
from cosmos1050k.errors import InputError
from cosmos1050k.fetch import hosts

DRIVE = "https://drive.usercontent.google.com/download?id=1a-B_c&export=download&confirm=t"
ZENODO = "https://zenodo.org/records/3431873/files/CHAOS_Train_Sets.zip?download=1"
FIGSHARE = "https://ndownloader.figshare.com/files/6875637"


@pytest.mark.parametrize(
    ("page", "file"),
    [
        ("https://zenodo.org/records/3431873/files/CHAOS_Train_Sets.zip", ZENODO),
        ("https://zenodo.org/record/3431873/files/CHAOS_Train_Sets.zip?download=1", ZENODO),
        (
            "https://zenodo.org/api/records/1/files/a.zip/content",
            "https://zenodo.org/api/records/1/files/a.zip/content",
        ),
        ("https://figshare.com/articles/figure/LV_scar_dataset/4214622?file=6875637", FIGSHARE),
        ("https://figshare.com/ndownloader/files/6875637", FIGSHARE),
        ("https://springernature.figshare.com/ndownloader/files/6875637", FIGSHARE),
        ("https://ndownloader.figshare.com/files/6875637", FIGSHARE),
        ("https://github.com/o/r/blob/main/a/b c.zip", "https://github.com/o/r/raw/main/a/b c.zip"),
        ("https://github.com/o/r/raw/main/a.zip", "https://github.com/o/r/raw/main/a.zip"),
        ("https://github.com/o/r", "https://github.com/o/r/archive/HEAD.zip"),
        ("https://github.com/o/r.git", "https://github.com/o/r/archive/HEAD.zip"),
        ("https://www.github.com/o/r/tree/v2.0/", "https://github.com/o/r/archive/v2.0.zip"),
        (
            "https://github.com/o/r/releases/download/v1/a.zip",
            "https://github.com/o/r/releases/download/v1/a.zip",
        ),
        ("https://drive.google.com/file/d/1a-B_c/view?usp=sharing", DRIVE),
        ("https://drive.google.com/open?id=1a-B_c", DRIVE),
        ("https://drive.google.com/uc?export=download&id=1a-B_c", DRIVE),
        ("https://docs.google.com/uc?id=1a-B_c", DRIVE),
        ("https://www.dropbox.com/s/p5q/CVC.rar?dl=0", "https://www.dropbox.com/s/p5q/CVC.rar?dl=1"),
        (
            "https://www.dropbox.com/scl/fi/x/a.zip?rlkey=k&dl=0",
            "https://www.dropbox.com/scl/fi/x/a.zip?rlkey=k&dl=1",
        ),
        (
            "https://huggingface.co/datasets/o/d/blob/main/images/a.nii.gz",
            "https://huggingface.co/datasets/o/d/resolve/main/images/a.nii.gz",
        ),
        ("http://127.0.0.1:8000/a.zip?b=c", "http://127.0.0.1:8000/a.zip?b=c"),
        ("https://notgithub.com/o/r", "https://notgithub.com/o/r"),
    ],
)  # fmt: skip
def test_a_page_becomes_its_file(page: str, file: str) -> None:
    assert hosts.plain(page) == file
    assert hosts.plain(file) == file


@pytest.mark.parametrize(
    "page",
    [
        "https://zenodo.org/records/3431873",
        "https://figshare.com/articles/figure/Scar/4214622",
        "https://github.com/o",
        "https://github.com/o/r/issues/3",
        "https://drive.google.com/drive/folders/1HqEgzS8BV2c7xYNrZdEAnrHk7osJJ--2",
        "https://drive.google.com/",
        "https://huggingface.co/datasets/o/d",
    ],
)
def test_a_page_of_no_file_is_one_line(page: str) -> None:
    with pytest.raises(InputError, match="no address of one file; open it in a browser") as error:
        hosts.plain(page)
    assert str(error.value).startswith(page)


@pytest.mark.parametrize("slug", sources.slugs())
def test_every_declared_address_is_one_file_s(slug: str) -> None:
    for download in sources.get(slug).SOURCE.downloads:
        if download.url is not None:
            address = hosts.plain(download.url)
            assert urlsplit(address).hostname
            assert hosts.plain(address) == address
