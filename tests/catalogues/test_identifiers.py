import pytest

from bytecover_tf.catalogues.identifiers import (
    canonical,
    is_work_identifier,
    malformed,
    tidy,
    work_identifiers,
)

UUID = "b1df2cf3-69a9-3bc0-be44-f71e79b27a22"


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("isrc", "GBAYE0601498", "GBAYE0601498"),
        ("isrc", "gb-aye-06-01498", "GBAYE0601498"),
        ("isrc", "GBAYE060149", None),
        ("isrc", "1BAYE0601498", None),
        # The example of ISO 15707, and "Yesterday" as ISWCnet has it.
        ("iswc", "T-034.524.680-1", "T-034.524.680-1"),
        ("iswc", "t0345246801", "T-034.524.680-1"),
        ("iswc", "T-010.182.653-9", None),
        ("iswc", "T-034.524.680-2", None),
        ("iswc", "X-034.524.680-1", None),
        ("musicbrainz_work", UUID.upper(), UUID),
        ("musicbrainz_recording", UUID[:-1], None),
    ],
)
def test_identifiers_in_their_canonical_form(kind, text, expected):
    assert canonical(kind, text) == expected


def test_what_is_malformed_stays_and_is_known():
    field = "gbaye0601498; none ; USRC17607839"
    assert tidy("isrc", field) == "GBAYE0601498; none; USRC17607839"
    assert malformed("isrc", field) == ["none"]
    assert malformed("isrc", "") == []


def test_one_work_is_identified_and_no_medley():
    assert work_identifiers("T0345246801", UUID) == ["T-034.524.680-1", UUID]
    assert work_identifiers("none", UUID) == [UUID]
    assert work_identifiers(f"T0345246801; {UUID}", UUID) == []
    assert is_work_identifier("T-034.524.680-1")
    assert is_work_identifier(UUID)
    assert not is_work_identifier("T0345246801")
    assert not is_work_identifier("Yesterday")
