"""The dataset's Croissant metadata (version 1.1, with the RAI vocabulary), from the schema and the manifests:
each shard with its sum, and a set of records per modality, as `load_dataset` has configurations.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from cosmos1050k import sources, taxonomy
from cosmos1050k.notices import notices
from cosmos1050k.schema import IMAGE_COLUMNS, SCHEMA
from cosmos1050k.shards import Manifest, Shard, dataset_version, load_manifest
from cosmos1050k.source import Source

CITATIONS = Path(__file__).with_name("CITATIONS.bib")
_PAPER, _PAPER_URL = "huang2024sam", "https://doi.org/10.1016/j.media.2023.103061"
#: As readers of Croissant know it.
_PARQUET = "application/x-parquet"
_TYPES = {"string": "sc:Text", "int32": "cr:Int32", "uint8": "cr:UInt8", "float": "cr:Float32"}
#: Column → its meaning; a column without one is an error.
_MEANINGS = {
    "image_id": "source/case/modality/slice, unique and stable",
    "image": "the slice or picture: PNG, 8 bit, gray or RGB",
    "mask": "regions 1 to 255 as PNG, 8 bit; 0 is background",
    "source": "the public dataset that it comes from",
    "patient": "unique within its source; all images of a patient have one split",
    "case": "a volume, frame or picture",
    "slice_index": "-1 for a picture",
    "view": "the anatomical plane, or what else it shows",
    "modality": "one of 18",
    "split": "train, validation or test",
    "height": "pixels",
    "width": "pixels",
    "spacing_mm": "millimetres between rows and between columns",
    "objects": "one entry per instance of an object; its mask is the union of the regions `values`",
    "raw_sha256": "of the raw image file",
}
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def text(slugs: Sequence[str], data: Path) -> str:
    """The metadata of the built sources `slugs`, whose folders lie in `data`, as JSON-LD to lie beside
    `data`.

    Raises:
        InputError: one of them is not built, or damaged.
    """
    return json.dumps(_document(slugs, data), indent=1, ensure_ascii=False) + "\n"


def _document(slugs: Sequence[str], data: Path) -> dict[str, Any]:
    manifests = [load_manifest(data / slug) for slug in slugs]
    found = [sources.get(slug).SOURCE for slug in slugs]
    version = dataset_version({manifest.source: manifest.version for manifest in manifests})
    present = [name for name in taxonomy.MODALITIES if any(name in m.modalities for m in manifests)]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": "cosmos1050k",
        "description": _description(manifests),
        "version": f"1.0.0+{version}",
        "url": _PAPER_URL,
        "license": list(dict.fromkeys(source.licence for source in found)),
        "citeAs": "\n\n".join(_works([_PAPER, *slugs])),
        "keywords": ["medical", "image segmentation", *present],
        **_responsible(found, manifests),
        "distribution": [
            *(_file(manifest.source, shard) for manifest in manifests for shard in manifest.shards),
            *(_files(name, manifests) for name in present),
        ],
        "recordSet": [_records(name) for name in present],
    }


def _description(manifests: Sequence[Manifest]) -> str:
    found = notices([m.source for m in manifests], [m.source for m in manifests if m.phantom])
    about = "Medical images with segmentation masks and prompts, after the dataset of the paper."
    return " ".join([about, *(f"{notice}" for notice in found)])


def _works(slugs: Sequence[str]) -> list[str]:
    """The BibTeX entries of the paper and of sources; the key of a source's further works has a number."""
    entries = re.split(r"\n\n(?=@)", CITATIONS.read_text(encoding="utf-8").strip())
    return [entry for slug in slugs for entry in entries if re.match(rf"@\w+\{{{slug}(_\d{{1,2}})?,", entry)]


def _responsible(found: Sequence[Source], manifests: Sequence[Manifest]) -> dict[str, Any]:
    """What is known of the questions of the RAI vocabulary."""
    known = taxonomy.kept_pairs()
    missing = known.keys() - {name for m in manifests if not m.phantom for name in m.pairs}
    return {
        "rai:dataCollection": "Gathered from public datasets; each one's own publication says how its images "
        "were taken. Slices without an object that is kept are left out.",
        "rai:dataCollectionType": "Secondary data analysis",
        "rai:dataCollectionMissingData": f"{len(missing)} of {len(known)} object–modality pairs are not in "
        "this build; the card lists them.",
        "rai:dataCollectionRawData": "The sources' own files; `raw_sha256` traces a row to its.",
        "rai:dataPreprocessingProtocol": [
            "Volumes are sliced along one plane; slices are min–max normalised to 8 bits, pictures of 8 bits "
            "stay as they are.",
            "Prompts are stored with each object: its box, and points inside and outside it.",
        ],
        "rai:dataAnnotationProtocol": "The sources' own masks, under the names of one taxonomy.",
        "rai:dataUseCases": "Judging and finetuning promptable segmentation models, for research. Not a "
        "medical device.",
        "rai:dataLimitations": [
            "The card tells what is missing in a build.",
            *(f"{source.name}: {source.note}" for source in found if source.note),
        ],
        "rai:dataBiases": "What was made public decides how often a modality, an object, a device or a "
        "country occurs, not how often patients have it.",
        "rai:personalSensitiveInformation": "Medical images of persons, as their owners released them. "
        "Identify nobody.",
        "rai:dataReleaseMaintenancePlan": "A version is a checksum over the rows' content; `exclusions.csv` "
        "lists bad samples, which the next build leaves out.",
    }


def _file(source: str, shard: Shard) -> dict[str, Any]:
    place = f"data/{source}/{shard.file}"
    return {
        "@type": "cr:FileObject",
        "@id": place,
        "name": place,
        "contentUrl": place,
        "contentSize": f"{shard.bytes} B",
        "encodingFormat": _PARQUET,
        "sha256": shard.sha256,
    }


def _files(modality: str, manifests: Sequence[Manifest]) -> dict[str, Any]:
    """The shards of a modality. They are read where this file lies, so no file contains them."""
    folder = taxonomy.slug(modality)
    return {
        "@type": "cr:FileSet",
        "@id": f"{folder}-files",
        "name": f"{folder}-files",
        "description": f"The shards of {modality}.",
        "encodingFormat": _PARQUET,
        "includes": [f"data/{m.source}/{folder}/*.parquet" for m in manifests if modality in m.modalities],
    }


def _records(modality: str) -> dict[str, Any]:
    folder = taxonomy.slug(modality)
    return {
        "@type": "cr:RecordSet",
        "@id": folder,
        "name": folder,
        "description": f"Images of {modality}, a record each.",
        "key": {"@id": f"{folder}/image_id"},
        "field": [_column(folder, column) for column in SCHEMA],
    }


def _column(folder: str, column: pa.Field) -> dict[str, Any]:
    name = f"{folder}/{column.name}"
    if column.name in IMAGE_COLUMNS:
        field = _source({"@id": name, "dataType": "sc:ImageObject"}, folder, column.name, "bytes")
    elif pa.types.is_list(column.type) and pa.types.is_struct(column.type.value_type):
        parts = [
            {
                "@type": "cr:Field",
                "name": part.name,
                **_source(_typed(f"{name}/{part.name}", part.type), folder, column.name, part.name),
            }
            for part in column.type.value_type
        ]
        field = {"@id": name, "isArray": True, "arrayShape": "-1", "subField": parts}
    else:
        field = _source(_typed(name, column.type), folder, column.name)
    return {"@type": "cr:Field", "name": column.name, "description": _MEANINGS[column.name], **field}


def _typed(name: str, kind: pa.DataType) -> dict[str, Any]:
    """A field's type, and its shape if it is a list."""
    shape = []
    while pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        shape.append(kind.list_size if pa.types.is_fixed_size_list(kind) else -1)
        kind = kind.value_type
    array = {"isArray": True, "arrayShape": ",".join(map(str, shape))} if shape else {}
    return {"@id": name, "dataType": _TYPES[str(kind)], **array}


def _source(field: dict[str, Any], folder: str, column: str, part: str | None = None) -> dict[str, Any]:
    """A field with the column, and the part of its values, that it is read from."""
    transform = {"transform": {"jsonPath": part}} if part else {}
    origin = {"fileSet": {"@id": f"{folder}-files"}, "extract": {"column": column}, **transform}
    return {**field, "source": origin}
