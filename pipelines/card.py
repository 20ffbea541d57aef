"""Stage `card`: the dataset card of the built sources, its charts, its pictures and its metadata."""

from cosmos1050k import card, disk
from cosmos1050k.shards import DATA
from pipelines import params, stage


def main() -> None:
    slugs, folder = params.load().sources, card.CARD.parent
    text, files = card.render(slugs, DATA), card.beside(slugs, DATA)
    wanted = {card.CARD: text.encode(), **{folder / name: content for name, content in files.items()}}
    disk.write_all(wanted)
    with disk.writing(folder):
        for path in (folder / card.ASSETS).iterdir():  # of a build with other modalities
            if path not in wanted:
                path.unlink()


if __name__ == "__main__":
    with stage.reported():
        main()
