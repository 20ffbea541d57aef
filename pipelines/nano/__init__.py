"""The recipe of `sam_nano`, a pipeline of its own: `dvc repro pipelines/nano/dvc.yaml`."""
