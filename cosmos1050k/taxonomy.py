"""The modalities of COSMOS 1050K and how a pair is named."""

import re

#: Figure 1 of the paper, in its order a…r: a modality's number is its place in this list, from 1.
MODALITIES = (
    "CT",
    "MRI",
    "T1W MRI",
    "T2W MRI",
    "ADC MRI",
    "Cine-MRI",
    "CMR",
    "DW MRI",
    "T1-GD MRI",
    "T2-FLAIR MRI",
    "Histopathology",
    "Electron Microscopy",
    "US",
    "X-ray",
    "Fundus",
    "Colonoscopy",
    "Dermoscopy",
    "Microscopy",
)


def slug(modality: str) -> str:
    """`T1W MRI` → `t1w_mri`: the name of a modality's folder and of its configuration in `load_dataset`."""
    return re.sub(r"[^a-z0-9]+", "_", modality.lower()).strip("_")


def pair(object_name: str, modality: str) -> str:
    """The object–modality pair as the paper writes it: `Kidney-CT`."""
    return f"{object_name}-{modality}"
