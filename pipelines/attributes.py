"""Stage `attributes`: what the objects of one built source look like."""

from cosmos1050k import attributes
from cosmos1050k.shards import DATA
from pipelines import params, stage


def main() -> None:
    slug = stage.argument("python -m pipelines.attributes SOURCE")
    target = attributes.ATTRIBUTES / f"{slug}.parquet"
    runtime = params.load().runtime
    attributes.write(slug, DATA, target, runtime.workers, runtime.cluster)
    print(f"{slug}: attributes in {target}")


if __name__ == "__main__":
    with stage.reported():
        main()
