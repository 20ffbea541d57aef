"""What every page of a build says, and when it says nothing."""

from cosmos1050k.notices import notices


def test_a_build_of_real_files_needs_no_notice() -> None:
    assert notices(["drive"], []) == notices(["drive", "sample"], []) == []


def test_the_sample_is_not_the_dataset() -> None:
    (found,) = notices(("sample",), [])
    assert str(found).startswith("This is the sample, not COSMOS 1050K: slices of one head")


def test_every_phantom_is_named() -> None:
    (one,) = notices(["drive", "acdc"], ["drive"])
    (three,) = notices(["drive", "acdc", "sample"], ["sample", "drive", "acdc"])
    assert one.strong == "Synthetic images: drive is a phantom"
    assert three.strong == "Synthetic images: acdc, drive and sample are phantoms"
    assert "neither published nor compared with the paper" in one.rest


def test_a_phantom_of_the_sample_is_both() -> None:
    assert [found.strong.split(":")[0] for found in notices(["sample"], ["sample"])] == [
        "Synthetic images",
        "This is the sample, not COSMOS 1050K",
    ]
