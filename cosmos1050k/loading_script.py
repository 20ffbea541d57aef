"""COSMOS 1050K for `datasets` 2 and 3: the configurations of the card, as a script.

    load_dataset("cosmos1050k/loading_script.py", "t1w_mri", trust_remote_code=True)

Newer versions run no scripts and load the folder itself, by its card; so can these.
"""

from pathlib import Path

import datasets
import pyarrow.parquet as pq
import yaml

from .schema import features


def _configs():
    """The `configs` of the card, which lies beside this script wherever `datasets` copies it to."""
    header = (Path(__file__).parent / "README.md").read_text(encoding="utf-8").split("---\n", 2)[1]
    return yaml.safe_load(header)["configs"]


class Cosmos1050K(datasets.ArrowBasedBuilder):
    """Reads the shards that the card's configurations name."""

    BUILDER_CONFIGS = tuple(datasets.BuilderConfig(name=config["config_name"]) for config in _configs())
    DEFAULT_CONFIG_NAME = BUILDER_CONFIGS[0].name

    def _info(self):
        return datasets.DatasetInfo(features=datasets.Features.from_dict(features()))

    def _split_generators(self, dl_manager):
        (config,) = (config for config in _configs() if config["config_name"] == self.config.name)
        generators = []
        for split in config["data_files"]:
            folder = Path(self.base_path).resolve()
            files = [str(file) for pattern in split["path"] for file in sorted(folder.glob(pattern))]
            if not files:
                wanted = ", ".join(split["path"])
                raise FileNotFoundError(f"no data files at {wanted} in {folder}: build the dataset first")
            generators.append(
                datasets.SplitGenerator(name=split["split"], gen_kwargs={"files": dl_manager.download(files)})
            )
        return generators

    def _generate_tables(self, files):
        for number, path in enumerate(files):
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    yield f"{number}_{group}", file.read_row_group(group)
