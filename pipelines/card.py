"""Stage `card`: the dataset card of the built sources, its charts, its pictures and its metadata."""

from cosmos1050k import card, index
from cosmos1050k.shards import DATA
from pipelines import params, stage


def main() -> None:
    slugs, folder = params.load().sources, card.CARD.parent
    text, files = card.render(slugs, DATA), card.beside(slugs, DATA)
    assets = folder / card.ASSETS
    assets.mkdir(exist_ok=True)
    for path in assets.iterdir():  # of a build with other modalities too
        path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    index.replace_text(card.CARD, text)


if __name__ == "__main__":
    with stage.reported():
        main()
