"""Stage `card`: the dataset card of the built sources."""

from cosmos1050k import card, index
from cosmos1050k.shards import DATA
from pipelines import params, stage


def main() -> None:
    index.replace_text(card.CARD, card.render(params.load().sources, DATA))


if __name__ == "__main__":
    with stage.reported():
        main()
