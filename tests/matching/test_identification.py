import weakref
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from catalogue_rows import DIM, IDENTITY, recording, unit, whole
from projection import Projection

from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.catalogues import Identity, Recording, Row, Segmenting, open_catalogue
from bytecover_tf.catalogues.segments import embed_rows
from bytecover_tf.data import tunes
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.errors import AudioError
from bytecover_tf.matching import identification
from bytecover_tf.matching.calibration import Calibration, default_calibration
from bytecover_tf.matching.identification import (
    Query,
    align_candidates,
    align_hits,
    embed,
    identify,
    nearest,
)
from bytecover_tf.stores.extraction import Reader

ENCODER = Encoder(Projection(Frontend()))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A catalogue of the sixteen embedded recordings."""
    pytest.importorskip("lancedb")
    identity = Identity("e" * 64, ENCODER.frontend, DIM)
    recordings, extracted = [], []
    for path in tunes.audio_files():
        read = Reader(ENCODER.frontend, with_chroma=True).read(str(path))
        name = read.key[:16]
        work = path.stem.rpartition("-")[0]
        recordings.append(
            Recording(
                *(name, work, path.stem, "", "", str(path)),
                *(17.0, read.key, read.size, read.mtime_ns),
            )
        )
        extracted.append(read)
    folder = tmp_path_factory.mktemp("library") / "catalogue"
    with open_catalogue(folder, identity, create=True) as made:
        rows, _ = embed_rows(ENCODER, recordings, extracted, Segmenting())
        made.add(rows)
        yield made


@pytest.fixture(scope="module")
def varied(tmp_path_factory):
    """Seconds 3 to 15 of a recording, 3 semitones higher, 1.1 times as fast, as mp3."""
    source = tunes.audio_files()[5]
    rate = 22050
    samples = load_audio(source, rate)[3 * rate : 15 * rate]
    samples = librosa.effects.pitch_shift(samples, sr=rate, n_steps=3)
    samples = librosa.effects.time_stretch(samples, rate=1.1)
    path = tmp_path_factory.mktemp("varied") / "varied.mp3"
    soundfile.write(path, samples, rate)
    return source, path


def test_a_varied_copy_is_found_with_how_it_was_varied(library, varied):
    source, path = varied
    (answer,) = identify(library, ENCODER, [path], default_calibration())
    assert (answer.verdict, answer.error) == ("version", "")
    best = answer.matches[0]
    assert best.recording.path == str(source)
    assert not best.is_same
    # From the query to the recording.
    assert best.transposition == -3
    assert best.tempo_ratio == pytest.approx(1 / 1.1, abs=0.12)
    assert best.query_start < 3
    assert best.query_end > 9
    assert best.recording_start == pytest.approx(3 + 1.1 * best.query_start, abs=1.5)
    assert best.recording_end == pytest.approx(3 + 1.1 * best.query_end, abs=1.5)
    probabilities = [match.probability for match in answer.matches]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len(answer.matches) == 10


def test_similarity_is_that_of_the_embeddings(library, varied):
    _, path = varied
    (embedding,) = ENCODER.embed_audio([path])
    (answer,) = identify(library, ENCODER, [path], default_calibration(), top=16)
    expected = {row.recording.id: row.embedding @ embedding for row in library.rows()}
    for match in answer.matches:
        assert match.similarity == pytest.approx(expected[match.recording.id], abs=1e-4)
    assert len(answer.matches) == 16


def test_what_has_no_version_has_the_verdict_none(library, tmp_path, music):
    soundfile.write(tmp_path / "other.flac", music(15, seed=4), 22050)
    (answer,) = identify(
        library, ENCODER, [tmp_path / "other.flac"], default_calibration()
    )
    assert answer.verdict == "none"
    assert answer.matches[0].probability < default_calibration().unsure


def test_a_broken_file_costs_only_its_answer(library, tmp_path, varied):
    (tmp_path / "bad.mp3").write_bytes(b"bad")
    paths = [tmp_path / "bad.mp3", varied[1], tmp_path / "none.mp3"]
    answers = list(identify(library, ENCODER, paths, default_calibration(), top=1))
    assert [answer.query for answer in answers] == list(map(str, paths))
    assert [bool(answer.error) for answer in answers] == [True, False, True]
    assert "bad.mp3" in answers[0].error
    assert answers[0].to_dict() == {"query": str(paths[0]), "error": answers[0].error}
    facts = answers[1].to_dict()
    assert facts.keys() == {"query", "verdict", "matches"}
    (match,) = facts["matches"]
    assert list(match)[:4] == ["work", "recording", "similarity", "probability"]


def test_few_of_many_files_are_read_early(library, monkeypatch):
    begun = []

    def read(path, *_):
        begun.append(path)
        raise AudioError(f"{path}: not read")

    monkeypatch.setattr(Query, "read", read)
    paths = [f"{number}.mp3" for number in range(50)]
    answers = identify(library, ENCODER, paths, default_calibration(), workers=2)
    for number, path in enumerate(paths):
        assert next(answers).query == path
        assert len(begun) <= number + 1 + 2 * 2
    assert next(answers, None) is None
    assert sorted(begun) == sorted(paths)


def test_features_are_gone_when_a_query_is_aligned(library, varied, monkeypatch):
    read, align = Query.read, identification.align_likely
    features = []

    def watched(*arguments):
        query = read(*arguments)
        features.append(weakref.ref(query.features))
        return query

    def check(*arguments):
        assert features[-1]() is None
        return align(*arguments)

    monkeypatch.setattr(Query, "read", watched)
    monkeypatch.setattr(identification, "align_likely", check)
    (answer,) = identify(library, ENCODER, [varied[1]], workers=1)
    assert answer.verdict == "version"


@pytest.mark.parametrize(("seconds", "is_loaded"), [(600, True), (601, False)])
def test_a_long_file_is_read_before_loops_are_loaded(
    library, varied, monkeypatch, seconds, is_loaded
):
    done = []

    def read(*_):
        done.append("read")
        raise AudioError("not read")

    monkeypatch.setattr(Query, "read", read)
    monkeypatch.setattr(identification, "prepare", lambda: done.append("loaded"))
    monkeypatch.setattr(identification, "declared_duration", lambda _: seconds)
    list(identify(library, ENCODER, [varied[1]], default_calibration(), workers=1))
    assert done == ["loaded"] * is_loaded + ["read"]


def test_no_file_has_no_answer(library):
    assert not list(identify(library, ENCODER, [], default_calibration()))


def test_the_same_content_is_the_same_recording(library, tmp_path):
    source = tunes.audio_files()[2]
    copy = tmp_path / "copy"
    copy.write_bytes(source.read_bytes())
    (answer,) = identify(library, ENCODER, [copy], Calibration(-99.0, 0.0))
    best = answer.matches[0]
    assert best.is_same
    assert best.recording.path == str(source)
    assert (best.probability, answer.verdict) == (1, "version")
    assert not any(match.is_same for match in answer.matches[1:])


def test_samples_are_a_query_too(library):
    source = tunes.audio_files()[7]
    samples = load_audio(source)[: 12 * 22050]
    query = Query.of_samples(samples, ENCODER.frontend)
    found = align_candidates(library, ENCODER, query).matches(default_calibration())
    assert Path(found[0].recording.path) == source


def test_an_empty_catalogue_has_no_version(tmp_path, varied):
    pytest.importorskip("lancedb")
    identity = Identity("e" * 64, ENCODER.frontend, DIM)
    with open_catalogue(tmp_path / "empty", identity, create=True) as empty:
        (answer,) = identify(empty, ENCODER, [varied[1]], default_calibration())
    assert (answer.verdict, answer.matches) == ("none", [])


def test_a_long_query_is_embedded_by_windows_too(rng):
    seconds = ENCODER.frontend.seconds_per_frame
    frames = round(500 / seconds)
    features = rng.random((84, frames)).astype(np.float32)
    chroma = np.zeros((12, 5), np.uint8)
    short = embed(ENCODER, Query("short", features[:, : round(300 / seconds)], chroma))
    assert short.shape == (1, DIM)
    features[:, 100:200] = 0
    vectors = embed(ENCODER, Query("long", features, chroma))
    windows = Segmenting(180, 90).windows(frames, seconds)
    heard = [span for span in windows if features[:, slice(*span)].any()]
    assert len(heard) < len(windows)
    spans = [(0, frames), *heard]
    expected = ENCODER.embed_features([features[:, a:b] for a, b in spans])
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    with pytest.raises(AudioError, match="nothing: silent"):
        embed(ENCODER, Query("nothing", features[:, 120:130], chroma))


def test_nearest_takes_the_best_of_each_recordings_rows(catalogue, rng):
    rows = []
    for number in range(20):
        rows.append(whole(number, rng.standard_normal(DIM)))
        rows += [
            Row(recording(number), segment, 0.0, 9.0, unit(rng.standard_normal(DIM)))
            for segment in range(1, 5)
        ]
    catalogue.add(rows)
    queries = unit(rng.standard_normal((2, DIM)))
    best = {}
    for row in rows:
        cosine = (queries @ row.embedding).max()
        best[row.recording.id] = max(best.get(row.recording.id, -1), cosine)
    ranked = sorted(best, key=best.get, reverse=True)
    for count in (3, 20, 50):
        hits = nearest(catalogue, queries, count)
        assert [hit.recording.id for hit in hits] == ranked[:count]
        found = [hit.similarity for hit in hits]
        expected = sorted(best.values(), reverse=True)[:count]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    found = align_hits(catalogue, Query("q", None, rows[0].chroma), hits, 20)
    # So few count as a hundred.
    assert found.pairs.among == 100
    matches = {m.recording.id: m for m in found.matches(default_calibration())}
    scores = {name: match.score for name, match in matches.items()}
    assert max(scores, key=scores.get) == rows[0].recording.id
    assert matches[rows[0].recording.id].tempo_ratio == 1


def test_short_queries_are_aligned_with_more(catalogue, rng):
    assert IDENTITY.frontend == ENCODER.frontend
    catalogue.add([whole(number, rng.standard_normal(DIM)) for number in range(130)])
    features = rng.random((84, 4)).astype(np.float32)
    for frames, candidates, count in ((520, None, 100), (430, None, 120), (9, 7, 7)):
        chroma = rng.integers(0, 256, (12, frames), np.uint8)
        query = Query("query", features, chroma)
        found = align_candidates(catalogue, ENCODER, query, candidates=candidates)
        assert len(found.recordings) == count
    all_of_them = align_candidates(catalogue, ENCODER, Query("query", features, chroma))
    assert len(all_of_them.recordings) == 130


def test_samples_that_are_in_no_file_are_not_the_same_recording(music):
    frontend = ENCODER.frontend
    queries = [Query.of_samples(music(8, seed=seed), frontend) for seed in (1, 2)]
    (match,) = identification.compare(*queries, ENCODER).matches(default_calibration())
    assert not match.is_same
    assert match.probability < 1


def test_samples_of_less_than_a_frame_of_chroma_are_refused(music):
    frontend = Frontend(pool=5)
    samples = music(1, seed=1)[: frontend.min_samples + 1]
    with pytest.raises(AudioError, match="shorter than one frame of chroma"):
        Query.of_samples(samples, frontend)
