"""The card of the scores: what `load_dataset` gives by it, what it says, and that a rerun changes nothing."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from cosmos1050k.errors import InputError
from cosmos1050k.units import MANIFEST
from leaderboard import scores_card
from leaderboard.score import SCORES_SCHEMA
from tests.leaderboard import boards
from tests.leaderboard.boards import Scored
from tests.leaderboard.segmenters import guesser

#: The sources of the scores that are taken.
OWN = ("first", "second", "sample")


@pytest.fixture
def copy(scored: Scored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scored:
    """Scores at `leaderboard/scores` of the folder that the test runs in."""
    monkeypatch.chdir(tmp_path)
    return scored.copy(Path("leaderboard"))


def write(scored: Scored, phantoms: Sequence[str] = ()) -> str:
    text = scores_card.render(scored.scores, dict.fromkeys(scored.models, OWN), phantoms)
    (scored.scores / "README.md").write_text(text)
    return text


def stored(scored: Scored, *models: str) -> pa.Table:
    """The rows as the files hold them, read by pyarrow alone."""
    files = [scored.scores / model / f"{source}.parquet" for model in models for source in scored.sources]
    return pa.concat_tables([pq.ParquetFile(file).read() for file in files])


def loaded(*config: str) -> pa.Table:
    import datasets

    found = datasets.load_dataset("leaderboard/scores", *config)
    assert list(found) == ["scores"]
    table = found["scores"].with_format("arrow")[:]
    return table.cast(table.schema.remove_metadata())


def test_all_models_and_one_as_the_files_hold_them(copy: Scored) -> None:
    import datasets

    write(copy)
    every = loaded()
    assert every.schema == SCORES_SCHEMA
    assert every.equals(stored(copy, *copy.models))
    assert datasets.get_dataset_config_names("leaderboard/scores") == ["all", *copy.models]
    for model in copy.models:
        assert loaded(model).equals(stored(copy, model))
    streamed = datasets.load_dataset("leaderboard/scores", "box", split="scores", streaming=True)
    assert list(streamed) == stored(copy, "box").to_pylist()


def test_the_features_are_those_of_the_files(copy: Scored) -> None:
    import datasets

    header = yaml.safe_load(write(copy).split("---\n")[1])
    assert [info["config_name"] for info in header["dataset_info"]] == ["all", *copy.models]
    for info in header["dataset_info"]:
        features = datasets.Features._from_yaml_list(info["features"])
        assert features == datasets.Features.from_arrow_schema(SCORES_SCHEMA)


def test_scores_made_anew_are_loaded_anew(copy: Scored) -> None:
    # The header would be the same but for the sums, and by the header alone `datasets` knows its cache.
    write(copy)
    before = stored(copy, *copy.models)
    assert loaded().equals(before)
    table = pq.read_table(copy.scores / "box" / "second.parquet")
    place = table.schema.get_field_index("dice_oracle")
    worse = pa.array([value / 2 for value in table["dice_oracle"].to_pylist()])
    copy.write("box", "second", table.set_column(place, "dice_oracle", worse))
    write(copy)
    after = stored(copy, *copy.models)
    assert not after.equals(before)
    assert loaded().equals(after)
    assert loaded("box").equals(stored(copy, "box"))


def test_files_and_models_without_a_row(copy: Scored) -> None:
    copy.write("box", "first", SCORES_SCHEMA.empty_table())
    copy.score(guesser("idle"), strategies=())
    text = write(copy)
    assert stored(copy, "idle").num_rows == 0
    assert loaded("box").equals(stored(copy, "box"))
    assert loaded().equals(stored(copy, *copy.models))
    configs = yaml.safe_load(text.split("---\n")[1])["configs"]
    assert [config["config_name"] for config in configs] == ["all", "worse", "box", "better", "points"]
    assert "| `idle` |" in text
    copy.models = ["idle"]
    with pytest.raises(InputError, match="leaderboard/scores: no model has a score; give"):
        write(copy)


def test_its_examples_run_and_give_the_protocols_means(copy: Scored) -> None:
    found: dict = {}
    for example in re.findall(r"```python\n(.*?)```", write(copy), re.DOTALL):
        exec(example, found)
    assert found["one"].num_rows == stored(copy, "worse").num_rows
    instances: dict[tuple[str, ...], list[float]] = {}
    for row in stored(copy, *copy.models).to_pylist():
        if row["strategy"] == "S5":
            key = (row["model"], row["pair"], row["image_id"], row["object"])
            instances.setdefault(key, []).append(row["dice_oracle"])
    assert max(map(len, instances.values())) == 2
    images: dict[tuple[str, str], list[float]] = {}
    for (model, pair, *_), values in instances.items():
        images.setdefault((model, pair), []).append(fmean(values))
    pairs = {key: fmean(values) for key, values in images.items()}
    assert len(pairs) == 3 * 4
    assert found["pairs"].to_dict() == pytest.approx(pairs)
    headlines = {name: fmean(v for (model, _), v in pairs.items() if model == name) for name, _ in pairs}
    assert found["headline"].to_dict() == pytest.approx(headlines)


def test_every_column_is_explained(copy: Scored) -> None:
    table = write(copy).split("## Columns")[1].split("## Means")[0]
    named = set(
        re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in table.splitlines() if "|" in line))
    )
    named |= {name.replace("_oracle", "_predicted_iou") for name in named}
    assert named - {"column"} == set(SCORES_SCHEMA.names)


def test_only_what_the_board_took_is_in_it(copy: Scored) -> None:
    copy.write("box", "third", stored(copy, "box"))
    (copy.scores / "box" / "second.parquet").write_bytes(b"damaged")
    taken = {"box": ("first",), "better": OWN}
    (copy.scores / "README.md").write_text(scores_card.render(copy.scores, taken, ()))
    copy.sources = ["first"]
    assert loaded("box").equals(stored(copy, "box"))
    copy.sources = ["first", "second"]
    assert loaded("better").equals(stored(copy, "better"))


def test_a_rerun_gives_the_same_card(copy: Scored) -> None:
    text = write(copy)
    for model in copy.models:
        copy.manifest(model, seconds=99.0)
    assert write(copy) == text
    assert "$" not in text


def test_it_says_how_the_models_ran(copy: Scored) -> None:
    declared = boards.MODELS[1].declaration
    changed = {"weights_sha256": "5a" * 32, "version": 7, "device": "cuda", "dtype": "bfloat16"}
    run = {"declaration": declared.model_copy(update=changed), "rows": "all"}
    copy.manifest("box", **run)
    text = write(copy)
    scores = stored(copy, "box").num_rows
    what = f"| `box` | baseline | {declared.description} | `5a5a5a5a5a5a` | 7 | cuda, bfloat16 "
    assert f"{what}| S5 S6 | S5 | all | {scores:,} | 0 |" in text
    # What a submitter writes is text.
    assert "| \\<script\\>alert('hi')\\</script\\>'; drop table boards; -- | none |" in text
    assert "<script>" not in text
    assert "protocol version 1." in text
    copy.manifest("box", **run, protocol_version=2)
    assert "protocol version 1 and 2." in write(copy)


def test_sources_by_version_and_phantoms_by_name(copy: Scored) -> None:
    text = write(copy, phantoms=["second", "unscored"])
    assert text.split("---\n")[2].startswith(
        "\n# COSMOS 1050K: scores\n\n> **Synthetic images: second is a phantom**. "
    )
    assert re.search(r"\| `first` \| `[0-9a-f]{12}` \| all \|\n\| `second` \*\*\(phantom\)\*\* \|", text)
    assert "phantom" not in write(copy).lower()
    run = boards.RunManifest.model_validate_json((copy.scores / "box" / MANIFEST).read_bytes())
    copy.manifest("box", sources={"first": run.sources["first"].model_copy(update={"version": "0" * 64})})
    text = write(copy)
    first, second = (run.sources[slug].version[:12] for slug in copy.sources)
    assert (
        f"| `first` | `{first}` | `worse`, `better`, `points` |\n| `first` | `{'0' * 12}` | `box` |" in text
    )
    assert f"| `second` | `{second}` | `worse`, `better`, `points` |" in text


def test_the_sample_alone_is_said_to_be_it(copy: Scored) -> None:
    one = replace(copy, models=["box"])
    run = boards.RunManifest.model_validate_json((copy.scores / "box" / MANIFEST).read_bytes())
    copy.manifest("box", sources={"sample": run.sources["first"]})
    copy.write("box", "sample", SCORES_SCHEMA.empty_table())
    assert "> **This is the sample, not COSMOS 1050K**: " in write(one)
    assert "This is the sample" not in write(copy)


def test_missing_or_damaged_scores_are_one_line(copy: Scored) -> None:
    (copy.scores / "worse" / "second.parquet").rename(copy.scores / "kept.parquet")
    with pytest.raises(
        InputError, match=r"worse/second.parquet: missing; run `cosmos evaluate --model worse`"
    ):
        write(copy)
    (copy.scores / "kept.parquet").rename(copy.scores / "worse" / "second.parquet")
    path = copy.scores / "box" / MANIFEST
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"box/manifest.json: damaged or of another release; run `cosmos"):
        write(copy)
    path.unlink()
    with pytest.raises(InputError, match=r"box/manifest.json: missing; run `cosmos evaluate --model box`"):
        write(copy)
    copy.models = ["all"]
    with pytest.raises(InputError, match="a model can't be called all: "):
        write(copy)
