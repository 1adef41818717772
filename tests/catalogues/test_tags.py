import av
import numpy as np
import pytest

from bytecover_tf.catalogues.tags import Tags, read_tags

mutagen = pytest.importorskip("mutagen")

CODECS = {
    "mp3": "libmp3lame",
    "flac": "flac",
    "m4a": "aac",
    "ogg": "libopus",
    "opus": "libopus",
    "wav": "pcm_s16le",
    "mka": "libopus",
    "webm": "libopus",
    "wma": "wmav2",
    "mov": "aac",
    "caf": "pcm_s16le",
}


def write(path, codec, metadata):
    """A second of noise with tags, written by FFmpeg's libraries."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=48000, layout="stereo")
        stream.bit_rate = 128_000
        # Ogg keeps tags with the stream, other formats with the file.
        file.metadata.update(metadata)
        stream.metadata.update(metadata)
        samples = np.random.default_rng(0).uniform(-0.1, 0.1, (2, 48000))
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), "fltp", "stereo")
        frame.rate = 48000
        resampler = av.AudioResampler(stream.format.name, "stereo", 48000, 960)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))


@pytest.mark.parametrize("suffix", CODECS)
def test_tags_of_every_usual_format(tmp_path, suffix):
    path = tmp_path / f"file.{suffix}"
    metadata = {"title": "Ça ira ", "artist": "Édith", "album": "“Live”"}
    write(path, CODECS[suffix], metadata)
    assert read_tags(path) == Tags("Ça ira", "Édith", "“Live”")


ALL = Tags(
    *("Ça ira", "Édith", "“Live”", "One; Two", "1951", "FRZ199800212"),
    *("T-034.524.680-1", "b1df2cf3-69a9-3bc0-be44-f71e79b27a22"),
    "a0df2cf3-69a9-3bc0-be44-f71e79b27a22",
)

# As MusicBrainz Picard writes them; FFmpeg writes the last two.
WRITTEN = {
    "mp3": "id3",
    "wav": "id3",
    "aiff": "id3",
    "m4a": "mp4",
    "flac": "vorbis",
    "ogg": "vorbis",
    "opus": "vorbis",
    "wma": "asf",
    "wv": "ape",
    "mka": "ffmpeg",
    "aac": "ffmpeg",
}


def write_all(path, kind):
    """Write all fields into a file in the notation of its format."""
    import mutagen
    from mutagen import apev2, id3

    recording, work = ALL.musicbrainz_recording, ALL.musicbrainz_work
    if kind == "id3":
        file = mutagen.File(path)
        if file.tags is None:
            file.add_tags()
        for frame in [
            *(id3.TIT2(3, ALL.title), id3.TPE1(3, ALL.artist), id3.TALB(3, ALL.album)),
            *(id3.TCOM(3, ["One", "Two"]), id3.TDRC(3, "1951-02-03")),
            *(id3.TSRC(3, "FR-Z19-98-00212"), id3.TXXX(3, "ISWC", ALL.iswc)),
            id3.UFID("http://musicbrainz.org", recording.encode()),
            id3.TXXX(3, "MusicBrainz Work Id", work),
        ]:
            file.tags.add(frame)
        file.save()
        return
    values = {
        "title": ALL.title,
        "artist": ALL.artist,
        "album": ALL.album,
        "composer": ["One", "Two"],
        "date": "1951-02-03",
        "isrc": "FRZ199800212",
        "iswc": "T0345246801",
        "musicbrainz_trackid": recording,
        "musicbrainz_workid": work,
    }
    if kind == "ape":
        file = apev2.APEv2()
        for name, value in values.items():
            file["Year" if name == "date" else name.upper()] = value
        file.save(path)
        return
    file = mutagen.File(path)
    if kind == "vorbis":
        file.update(values)
    elif kind == "mp4":
        free = "----:com.apple.iTunes:"
        names = ("©nam", "©ART", "©alb", "©wrt", "©day")
        file.update(dict(zip(names, list(values.values())[:5], strict=True)))
        file[f"{free}ISRC"] = [values["isrc"].encode()]
        file[f"{free}ISWC"] = [values["iswc"].encode()]
        file[f"{free}MusicBrainz Track Id"] = [recording.encode()]
        file[f"{free}MusicBrainz Work Id"] = [work.encode()]
    else:
        names = ("Title", "Author", "WM/AlbumTitle", "WM/Composer", "WM/Year")
        names += ("WM/ISRC", "ISWC", "MusicBrainz/Track Id", "MusicBrainz/Work Id")
        for name, value in zip(names, values.values(), strict=True):
            file.tags[name] = value
    file.save()


@pytest.mark.parametrize("suffix", WRITTEN)
def test_identifiers_in_every_usual_format(tmp_path, suffix):
    path = tmp_path / f"file.{suffix}"
    if WRITTEN[suffix] == "ffmpeg":
        write(path, "libopus" if suffix == "mka" else "aac", {})
        metadata = {
            **{"title": ALL.title, "artist": ALL.artist, "album": ALL.album},
            **{"composer": "One; Two", "date": "1951", "ISRC": "frz199800212"},
            **{"ISWC": ALL.iswc, "MusicBrainz Track Id": ALL.musicbrainz_recording},
            "MusicBrainz Work Id": ALL.musicbrainz_work,
        }
        if suffix == "mka":
            write(path, "libopus", metadata)
        else:
            from mutagen import id3

            tags = id3.ID3()
            for kind, name in [
                (id3.TIT2, "title"),
                *((id3.TPE1, "artist"), (id3.TALB, "album"), (id3.TCOM, "composer")),
                *((id3.TDRC, "date"), (id3.TSRC, "ISRC")),
            ]:
                tags.add(kind(encoding=3, text=metadata[name]))
            for name in ("ISWC", "MusicBrainz Track Id", "MusicBrainz Work Id"):
                tags.add(id3.TXXX(encoding=3, desc=name, text=metadata[name]))
            sound = path.read_bytes()
            path.write_bytes(b"")
            tags.save(path)
            path.write_bytes(path.read_bytes() + sound)
    else:
        codec = {"aiff": "pcm_s16be", "wv": "wavpack"}.get(suffix) or CODECS[suffix]
        write(path, codec, {})
        write_all(path, WRITTEN[suffix])
    assert read_tags(path) == ALL


def test_malformed_identifiers_stay_as_they_are(tmp_path):
    path = tmp_path / "file.flac"
    write(path, "flac", {"ISRC": "unknown", "DATE": "spring 1951"})
    assert read_tags(path) == Tags("file", isrc="unknown", year="spring 1951")


@pytest.mark.parametrize("suffix", ["wav", "aiff", "aac"])
def test_id3_in_formats_that_have_it_as_an_addition(tmp_path, suffix):
    from mutagen import id3

    tags = {id3.TIT2: "Ça ira", id3.TPE1: "Édith", id3.TALB: "Live"}
    path = tmp_path / f"file.{suffix}"
    if suffix == "aac":  # before the sound, as in an mp3
        write(tmp_path / "sound.aac", "aac", {})
        file = id3.ID3()
    else:
        write(path, "pcm_s16le" if suffix == "wav" else "pcm_s16be", {})
        file = mutagen.File(path)
        file.add_tags()
    for kind, text in tags.items():
        (file if suffix == "aac" else file.tags).add(kind(encoding=3, text=text))
    if suffix == "aac":
        file.save(path)
        path.write_bytes(path.read_bytes() + (tmp_path / "sound.aac").read_bytes())
    else:
        file.save()
    assert read_tags(path) == Tags("Ça ira", "Édith", "Live")


def test_several_artists_are_joined(tmp_path):
    path = tmp_path / "file.flac"
    write(path, "flac", {})
    file = mutagen.File(path, easy=True)
    file["artist"] = ["One", "Two"]
    file.save()
    assert read_tags(path) == Tags("file", "One; Two", "")


@pytest.mark.parametrize("content", [b"", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", b"fLaC" * 9])
def test_a_file_without_readable_tags_is_called_by_its_name(tmp_path, content):
    path = tmp_path / "My song.v2.mp3"
    path.write_bytes(content)
    assert read_tags(path) == Tags("My song.v2")
    assert read_tags(tmp_path / "none.flac") == Tags("none")
