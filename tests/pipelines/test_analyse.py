"""The stage `analyse` in a project's folder: from board, sources and attributes to report and app."""

import shutil
from pathlib import Path

import pytest

from cosmos1050k import attributes, shards
from cosmos1050k.errors import InputError
from leaderboard.analyses import ANALYSES, publishing
from leaderboard.analyses.report import REPORTS, SECTIONS
from leaderboard.machine import MEASURED
from leaderboard.store.build import BOARD
from leaderboard.store.publish import STATE
from pipelines import analyse
from tests.leaderboard.analyses import planted


@pytest.mark.slow
def test_the_stage_writes_the_report_and_tells_the_app(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = planted.build(tmp_path / "planted", number_of_cases=5)
    planted.measure(made)
    build_id = made.board()
    BOARD.parent.mkdir(parents=True)
    shutil.copyfile(made.path, BOARD)
    BOARD.chmod(0o444)
    shutil.copytree(made.data / planted.SOURCE, shards.DATA / planted.SOURCE)
    shutil.copytree(made.measured, MEASURED)
    with pytest.raises(InputError, match=r"toy\.parquet: missing; run `dvc repro attributes@toy`"):
        analyse.main()
    assert not REPORTS.exists()
    assert not (STATE / publishing.FOLDER).exists()
    target = attributes.ATTRIBUTES / f"{planted.SOURCE}.parquet"
    attributes.write(planted.SOURCE, shards.DATA, target, workers=1)
    capsys.readouterr()

    analyse.main()
    # No picture of the source may be shown (figures 12, 15), and no model was studied (tables 5, 7, figures
    # 11, 16).
    told = f"reports/report.html: {len(ANALYSES) - 6} of {len(ANALYSES)} analyses"
    assert capsys.readouterr().out.startswith(told)
    first = {path: path.read_bytes() for path in REPORTS.rglob("*.*")}
    assert f"Board {build_id}" in first[REPORTS / "report.html"].decode()
    own = publishing.latest(build_id)
    assert own == STATE / publishing.FOLDER / f"{build_id}.json"
    assert own.read_bytes() == first[REPORTS / SECTIONS]
    assert sorted(path.name for path in STATE.iterdir()) == [publishing.FOLDER]  # no board of it

    analyse.main()
    assert {path: path.read_bytes() for path in REPORTS.rglob("*.*")} == first
