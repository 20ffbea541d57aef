"""Stage `attributes`: what the objects of one built source look like."""

from cosmos1050k import attributes
from cosmos1050k.shards import DATA
from pipelines import params, stage


def main() -> None:
    slug = stage.argument("python -m pipelines.attributes SOURCE")
    target = attributes.ATTRIBUTES / f"{slug}.parquet"
    attributes.write(slug, DATA, target, params.load().runtime.workers)
    print(f"{slug}: attributes in {target}")


if __name__ == "__main__":
    with stage.reported():
        main()
