"""Stage `study`: what is measured of one model besides its scores, on test images of the board's sources."""

from cosmos1050k import pool
from cosmos1050k.shards import DATA
from cosmos1050k.units import Units
from leaderboard import measurements, models
from leaderboard.studies.every import STUDIES
from leaderboard.studies.options import StudyOptions
from leaderboard.studies.record import Failed, head
from leaderboard.studies.study import STAGE
from pipelines import params, stage
from pipelines.machine import machine_here


def main() -> None:
    model = stage.argument("python -m pipelines.study MODEL")
    given = params.load()
    options = given.section("studies", StudyOptions)
    machine = machine_here(model, given)
    for study in STUDIES:
        try:
            found = study.measure(
                model, DATA, given.sources, options, machine, Units(STAGE), given.runtime.workers
            )
        except Failed as error:  # the board and the other models are to come all the same
            found = study.record(**head(models.kind(model), DATA, given.sources, machine), failed=str(error))
        measurements.write(found, study.folder)
        extent = found.failed or found.limits or f"{found.objects} objects on {found.images} images"
        print(f"{model}, {study.title}: {extent}")


if __name__ == "__main__":
    pool.single_threaded()  # as its workers are
    with stage.reported():
        main()
