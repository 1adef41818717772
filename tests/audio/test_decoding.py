import contextlib
import os
import re
import struct
import subprocess
import sys
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr
from av.stream import Disposition

from bytecover_tf.audio.decoding import check_waveform, iter_audio, load_audio
from bytecover_tf.audio.live import iter_live
from bytecover_tf.errors import AudioError

RATE = 44100
SECONDS = 8


def music(seconds=SECONDS, rate=RATE):
    """Stereo notes with harmonics and a decay, plus a little noise."""
    noise = np.random.default_rng(0).standard_normal((int(seconds * rate), 2))
    time = np.arange(int(seconds * rate)) / rate
    samples = np.zeros((time.size, 2))
    for note, pitch in enumerate((220.0, 277.2, 329.6, 415.3)):
        decay = np.exp(-3 * ((time + note / 4) % 1))
        for harmonic in (1, 2, 3, 5):
            tone = decay * np.sin(2 * np.pi * pitch * harmonic * time) / harmonic
            samples[:, note % 2] += 0.15 * tone
            samples[:, 1 - note % 2] += 0.05 * tone
    return (samples + 1e-4 * noise).astype(np.float32)


def encode(path, samples, codec, rate=RATE, options=None, picture=False):
    """Write (samples, channels) with PyAV, on request with moving pictures."""
    layout = {1: "mono", 2: "stereo", 8: "7.1"}[samples.shape[1]]
    with av.open(str(path), "w", options=options or {}) as container:
        audio = container.add_stream(codec, rate=rate, layout=layout)
        if codec == "wmav2":  # has no default
            audio.bit_rate = 128_000
        if picture:
            video = container.add_stream("mpeg4", rate=10)
            video.width = video.height = 64
            for shade in range(10 * len(samples) // rate):
                grey = np.full((64, 64, 3), shade % 256, np.uint8)
                container.mux(video.encode(av.VideoFrame.from_ndarray(grey)))
            container.mux(video.encode(None))
        for start in range(0, len(samples), rate):
            interleaved = samples[start : start + rate].reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(interleaved, "flt", layout)
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = start
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


def write(path, samples):
    """Write a file whose format is its suffix's; `front.m4a` has its index first."""
    match path.name:
        case "a.m4a":
            encode(path, samples, "aac")
        case "front.m4a":
            encode(path, samples, "aac", options={"movflags": "faststart"})
        case "a.webm":
            encode(path, resampled(samples, 48000), "libopus", 48000)
        case "a.mkv":
            encode(path, samples, "flac")
        case "a.avi":
            encode(path, samples, "pcm_s16le")
        case "a.flv":
            encode(path, samples, "aac")
        case "a.wma":
            encode(path, samples, "wmav2")
        case "a.wv":
            encode(path, samples, "wavpack")
        case "video.mp4":
            encode(path, samples, "aac", picture=True)
        case "a.opus":
            soundfile.write(
                path, resampled(samples, 48000), 48000, format="OGG", subtype="OPUS"
            )
        case _:
            soundfile.write(path, samples, RATE)


def resampled(samples, rate, source=RATE):
    return soxr.resample(samples, source, rate)


def signal_to_noise(reference, samples):
    length = min(len(reference), len(samples))
    noise = reference[:length] - samples[:length]
    return 10 * np.log10((reference[:length] ** 2).mean() / (noise**2).mean())


@pytest.fixture(scope="module")
def source():
    return music()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, source):
    folder = tmp_path_factory.mktemp("audio")
    for name in {*LOSSLESS, *LOSSY, *DECLARING}:
        write(folder / name, source)
    return folder


@pytest.fixture(autouse=True)
def _silent_libraries(capfd):
    yield
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


LOSSLESS = ["a.wav", "a.flac", "a.aiff", "a.mkv"]
LOSSY = ["a.ogg", "a.opus", "a.mp3", "a.m4a", "a.webm", "video.mp4"]
DECLARING = [*LOSSLESS, *LOSSY, "front.m4a", "a.au", "a.caf", "a.w64", "a.flv", "a.wma"]


# --- what is decoded -------------------------------------------------------


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
def test_tone_keeps_amplitude_and_phase(tmp_path, rate, subtype):
    def tone(rate):
        return 0.5 * np.sin(2 * np.pi * 997 * np.arange(2 * rate) / rate + 0.3)

    soundfile.write(tmp_path / "tone.wav", tone(rate), rate, subtype)
    samples = load_audio(tmp_path / "tone.wav")
    assert samples.dtype == np.float32
    assert samples.shape == (2 * 22050,)
    inner = slice(2000, -2000)  # the tone's start and end ring
    atol = 2e-2 if subtype == "PCM_U8" else 5e-5
    np.testing.assert_allclose(samples[inner], tone(22050)[inner], atol=atol)


def test_other_sample_rate(folder, source):
    samples = load_audio(folder / "a.wav", sample_rate=RATE)
    np.testing.assert_allclose(samples, source.mean(axis=1), atol=1 / 32768)


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_agree_with_source(folder, source, name):
    samples = load_audio(folder / name)
    reference = resampled(source.mean(axis=1), 22050)
    assert samples.shape == reference.shape
    assert signal_to_noise(reference, samples) > 65  # that of 16 bits


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_formats_are_aligned_with_source(folder, source, name):
    samples = load_audio(folder / name)
    reference = resampled(source.mean(axis=1), 22050)
    assert abs(len(samples) - len(reference)) < 0.05 * 22050
    assert signal_to_noise(reference, samples) > 18
    assert signal_to_noise(reference[5:], samples) < 10  # what a delay would give


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_agrees_with_libsndfile(folder, name):
    decoded, _ = soundfile.read(folder / name, dtype="float32")
    reference = resampled(decoded.mean(axis=1), 22050)
    np.testing.assert_allclose(load_audio(folder / name), reference, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8, 16])
def test_downmix_is_the_mean(tmp_path, channels):
    samples = np.random.default_rng(1).uniform(-1, 1, (22050, channels))
    soundfile.write(tmp_path / "a.wav", samples, 22050, "FLOAT")
    expected = samples.mean(axis=1)
    np.testing.assert_allclose(load_audio(tmp_path / "a.wav"), expected, atol=1e-6)


@pytest.mark.parametrize("playing", [(2,), (0, 2), (0, 1, 2)])
def test_silent_channels_do_not_change_the_downmix(tmp_path, playing):
    """Of 5.1 channels mostly few play, and not the same ones all the time."""
    rng = np.random.default_rng(1)
    samples = np.zeros((8 * 22050, 6))
    for channel in playing:
        samples[:, channel] = rng.uniform(-0.2, 0.2, len(samples))
    samples[: len(samples) // 2, playing[0]] *= 0.3
    soundfile.write(tmp_path / "a.wav", samples, 22050, "FLOAT")
    expected = samples.mean(axis=1)
    np.testing.assert_allclose(load_audio(tmp_path / "a.wav"), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "codec", "bits"),
    [
        ("a.wav", "pcm_s64le", 24),  # converted first
        ("a.wav", "pcm_u8", 8),
        ("a.m4a", "alac", 16),  # planar
        ("a.wv", "wavpack", 8),  # planar
        ("a.mkv", "pcm_s32le", 24),
        ("a.mkv", "pcm_f64le", 24),
    ],
)
def test_every_sample_format_has_the_same_scale(tmp_path, source, name, codec, bits):
    samples = source[:22050]
    encode(tmp_path / name, samples, codec, 22050)
    decoded = load_audio(tmp_path / name)
    assert len(decoded) == len(samples)
    # Half a step of rounding, or a whole one where an encoder cuts off.
    np.testing.assert_allclose(decoded, samples.mean(axis=1), atol=2.0 ** (1 - bits))


@pytest.mark.parametrize("name", ["a.ogg", "a.m4a"])
def test_eight_planar_channels(tmp_path, source, name):
    samples = np.tile(source[: 2 * RATE], 4)
    if name == "a.ogg":
        soundfile.write(tmp_path / name, samples, RATE)
    else:
        encode(tmp_path / name, samples, "aac")
    reference = resampled(samples.mean(axis=1), 22050)
    assert signal_to_noise(reference, load_audio(tmp_path / name)) > 12


def test_mp3_without_declared_length_is_decoded_to_its_end(tmp_path, source):
    # Quiet, so cheap, at first: a length guessed from the first frames is wrong.
    samples = np.concatenate([source * 1e-3, source])
    options = {"write_xing": "0"}
    encode(tmp_path / "a.mp3", samples, "libmp3lame", options=options)
    length = len(load_audio(tmp_path / "a.mp3"))
    assert length == pytest.approx(2 * SECONDS * 22050, abs=2500)


@pytest.mark.parametrize("name", ["a.ogg", "a.opus"])
def test_chained_ogg_is_decoded_to_its_end(folder, tmp_path, name):
    path = tmp_path / name
    path.write_bytes((folder / name).read_bytes() * 2)
    once = load_audio(folder / name)
    assert len(load_audio(path)) == pytest.approx(2 * len(once), abs=500)


def test_sample_rate_that_changes(tmp_path):
    parts = []
    for rate, pitch in ((44100, 440), (48000, 880)):
        tone = 0.5 * np.sin(2 * np.pi * pitch * np.arange(3 * rate) / rate)
        encode(tmp_path / "part.aac", tone.astype(np.float32)[:, None], "aac", rate)
        parts.append((tmp_path / "part.aac").read_bytes())
    (tmp_path / "a.aac").write_bytes(b"".join(parts))
    samples = load_audio(tmp_path / "a.aac")
    assert len(samples) == pytest.approx(6 * 22050, abs=5000)
    for second, pitch in ((1, 440), (4, 880)):
        spectrum = np.abs(np.fft.rfft(samples[second * 22050 :][:22050]))
        assert spectrum.argmax() == pitch


def test_format_is_told_by_content(folder, tmp_path):
    for name in ("a.wav", "a.m4a", "a.flac"):
        path = tmp_path / "song.mp3"
        path.write_bytes((folder / name).read_bytes())
        np.testing.assert_array_equal(load_audio(path), load_audio(folder / name))


def test_tags_in_an_unknown_encoding(tmp_path, source):
    with soundfile.SoundFile(tmp_path / "a.wav", "w", RATE, 2) as file:
        file.title = "Etude"
        file.write(source)
    tagged = (tmp_path / "a.wav").read_bytes().replace(b"Etude", b"\xc9tude")
    (tmp_path / "b.wav").write_bytes(tagged)
    assert len(load_audio(tmp_path / "b.wav")) == SECONDS * 22050


def test_tag_after_the_end_of_an_mp3(folder, tmp_path):
    tail = b"APETAGEX" + bytes(2000) + b"TAG" + bytes(125)
    (tmp_path / "a.mp3").write_bytes((folder / "a.mp3").read_bytes() + tail)
    samples, expected = load_audio(tmp_path / "a.mp3"), load_audio(folder / "a.mp3")
    np.testing.assert_array_equal(samples[: len(expected)], expected)


# --- streaming -------------------------------------------------------------


def test_blocks_join_to_the_whole(tmp_path):
    noise = np.random.default_rng(2).uniform(-0.5, 0.5, (60 * RATE, 1))
    soundfile.write(tmp_path / "a.flac", noise, RATE)
    blocks = list(iter_audio(tmp_path / "a.flac"))
    assert len(blocks) > 2
    assert all(0 < len(block) <= 30 * 22050 for block in blocks)
    samples = np.concatenate(blocks)
    np.testing.assert_array_equal(samples, load_audio(tmp_path / "a.flac"))
    decoded, _ = soundfile.read(tmp_path / "a.flac", dtype="float32")
    np.testing.assert_allclose(samples, resampled(decoded, 22050), atol=1e-6)


MEASURE = """
import re, sys
from bytecover_tf.audio.decoding import iter_audio

def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])

before = peak()
seconds = sum(map(len, iter_audio(sys.argv[1]))) / 22050
print(seconds, (peak() - before) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_memory_is_bounded(tmp_path):
    minute = (music(60) * 32767).astype(np.int16)
    with soundfile.SoundFile(tmp_path / "long.wav", "w", RATE, 2) as file:
        for _ in range(20):
            file.write(minute)
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path / "long.wav"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=True,
    )
    seconds, megabytes = run.stdout.split()
    assert float(seconds) == 20 * 60
    assert int(megabytes) < 110  # the samples alone are 106 MB, the source 212 MB


# --- what is refused -------------------------------------------------------


def refused(path, reason):
    return pytest.raises(AudioError, match=f"^{re.escape(str(path))}: .*{reason}")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", DECLARING)
def test_truncated(folder, tmp_path, name, share):
    path, whole = tmp_path / name, (folder / name).read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with refused(path, "is truncated"):
        load_audio(path)


@pytest.mark.parametrize("share", [0.3, 0.95])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg"])
def test_what_is_there_of_a_truncated_file(folder, tmp_path, name, share, capfd):
    path, whole = tmp_path / name, (folder / name).read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    found = load_audio(path, allow_truncated=True)
    expected = load_audio(folder / name)
    assert len(found) / len(expected) == pytest.approx(share, abs=0.1)
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"truncated, used as it is: {path}: ")


def test_a_riff_size_that_is_too_large_is_no_truncation(folder, tmp_path):
    wav = bytearray((folder / "a.wav").read_bytes())
    wav[4:8] = struct.pack("<I", len(wav) + 4096)
    (tmp_path / "a.wav").write_bytes(wav)
    expected = load_audio(folder / "a.wav")
    np.testing.assert_array_equal(load_audio(tmp_path / "a.wav"), expected)
    # A chunk after the samples is no samples either.
    (tmp_path / "b.wav").write_bytes(wav + b"LIST" + struct.pack("<I", 9999) + b"INFO")
    np.testing.assert_array_equal(load_audio(tmp_path / "b.wav"), expected)


def number(data, at, form, change):
    """Change a number in a file."""
    size = struct.calcsize(form)
    (value,) = struct.unpack(form, data[at : at + size])
    data[at : at + size] = struct.pack(form, change(value))


ASF_FILE = bytes.fromhex("A1DCAB8C47A9CF118EE400C00C205365")


@pytest.mark.parametrize(
    ("name", "mark", "offset", "form"),
    [
        ("a.aiff", b"FORM", 4, ">I"),
        ("a.aiff", b"COMM", 10, ">I"),
        ("a.avi", b"RIFF", 4, "<I"),
        ("a.w64", b"riff", 16, "<Q"),
        ("a.m4a", b"mvhd", 20, ">I"),
        ("front.m4a", b"mdat", -4, ">I"),
        ("a.mkv", b"\x44\x89\x88", 3, ">d"),
        ("a.webm", b"\x44\x89\x88", 3, ">d"),
        ("a.flv", b"duration", 9, ">d"),
        ("a.wma", ASF_FILE, 64, "<Q"),
        ("a.wv", b"wvpk", 12, "<I"),
    ],
)
def test_a_header_that_says_more_than_was_ever_there(
    tmp_path, source, name, mark, offset, form
):
    write(tmp_path / name, source)
    data = bytearray((tmp_path / name).read_bytes())
    expected = len(load_audio(tmp_path / name))
    number(data, data.index(mark) + offset, form, lambda value: 2 * value)
    (tmp_path / name).write_bytes(data)
    assert len(load_audio(tmp_path / name)) == pytest.approx(expected, abs=50)


@pytest.mark.parametrize("name", ["a.flac", "a.mp3"])
def test_a_file_that_ends_with_a_whole_frame_is_whole(folder, tmp_path, name):
    """A cut between two frames is one that an editor made, not a lost connection."""
    whole = (folder / name).read_bytes()
    with av.open(str(folder / name)) as file:
        packets = [(packet.pos, packet.size) for packet in file.demux() if packet.size]
    position, size = packets[len(packets) // 2]
    assert position
    (tmp_path / name).write_bytes(whole[: position + size])
    half = len(load_audio(tmp_path / name)) / len(load_audio(folder / name))
    assert half == pytest.approx(0.5, abs=0.1)
    for cut in (1, size // 2, size - 5):
        (tmp_path / name).write_bytes(whole[: position + size - cut])
        with refused(tmp_path / name, "is truncated"):
            load_audio(tmp_path / name)


@pytest.mark.parametrize("size", [2_500_000_000, 3_900_000_000])
def test_a_cut_recording_of_hours_is_truncated(folder, tmp_path, size):
    wav = bytearray((folder / "a.wav").read_bytes())
    wav[4:8] = struct.pack("<I", size)
    data = wav.index(b"data") + 4
    wav[data : data + 4] = struct.pack("<I", size - 36)
    (tmp_path / "a.wav").write_bytes(wav)
    with refused(tmp_path / "a.wav", "is truncated"):
        load_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("size", [0, 0x7FFFF024, 0x80000024, 0xFFFFFFFF])
def test_wav_from_a_pipe_is_not_truncated(folder, tmp_path, size):
    wav = bytearray((folder / "a.wav").read_bytes())
    wav[4:8] = struct.pack("<I", size)
    data = wav.index(b"data") + 4
    wav[data : data + 4] = struct.pack("<I", max(0, size - 36))
    (tmp_path / "a.wav").write_bytes(wav)
    expected = load_audio(folder / "a.wav")
    np.testing.assert_array_equal(load_audio(tmp_path / "a.wav"), expected)


def test_webm_without_declared_length_is_not_truncated(tmp_path, source):
    samples = resampled(source, 48000)
    encode(tmp_path / "a.webm", samples, "libopus", 48000, {"live": "1"})
    cut = (tmp_path / "a.webm").read_bytes()[:-3000]
    (tmp_path / "a.webm").write_bytes(cut)
    assert len(load_audio(tmp_path / "a.webm")) < SECONDS * 22050


def test_flac_without_declared_length_is_not_truncated(folder, tmp_path):
    flac = bytearray((folder / "a.flac").read_bytes())
    flac[21] &= 0xF0  # the 36 bits of the sample count
    flac[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(flac)
    assert len(load_audio(tmp_path / "a.flac")) == SECONDS * 22050


def test_video_longer_than_its_sound_is_not_truncated(tmp_path, source):
    encode(tmp_path / "a.mp4", source, "aac", picture=True)
    with av.open(str(tmp_path / "a.mp4")) as whole:
        packets = [packet for packet in whole.demux() if packet.dts is not None]
        with av.open(str(tmp_path / "b.mkv"), "w") as short:
            streams = {s: short.add_stream_from_template(s) for s in whole.streams}
            for packet in packets:
                video = packet.stream.type == "video"
                if video or packet.pts * packet.time_base < SECONDS / 2:
                    packet.stream = streams[packet.stream]
                    short.mux(packet)
    length = len(load_audio(tmp_path / "b.mkv"))
    assert length == pytest.approx(SECONDS / 2 * 22050, abs=2500)


@pytest.mark.parametrize("step", [5, 50])
def test_damaged(folder, tmp_path, step):
    damaged = bytearray((folder / "a.mkv").read_bytes())
    noise = np.random.default_rng(3).bytes(len(damaged))
    part = slice(len(damaged) // 4, -1000, step)
    damaged[part] = noise[part]
    (tmp_path / "a.mkv").write_bytes(damaged)
    with refused(tmp_path / "a.mkv", "is damaged"):
        load_audio(tmp_path / "a.mkv")


def test_header_that_points_far_beyond_the_end(tmp_path, source):
    soundfile.write(tmp_path / "a.caf", source, RATE)
    caf = (tmp_path / "a.caf").read_bytes()
    chunk = caf.index(b"free")
    far = 3 * (b"free" + struct.pack(">Q", 0xC3 << 48))
    (tmp_path / "a.caf").write_bytes(caf[:chunk] + far + caf[chunk:])
    with contextlib.suppress(AudioError):  # either way, without a print
        load_audio(tmp_path / "a.caf")


def test_truncated_mp3_with_a_long_tag(folder, tmp_path):
    # Such as a picture of the cover; the size has seven bits to the byte.
    tag = b"ID3\x04\0\0" + bytes([0, 1, 28, 32]) + bytes(20_000)
    whole = tag + (folder / "a.mp3").read_bytes()
    (tmp_path / "a.mp3").write_bytes(whole)
    assert len(load_audio(tmp_path / "a.mp3")) == len(load_audio(folder / "a.mp3"))
    (tmp_path / "a.mp3").write_bytes(whole[:-5000])
    with refused(tmp_path / "a.mp3", "is truncated"):
        load_audio(tmp_path / "a.mp3")


def test_missing(tmp_path):
    with refused(tmp_path / "a.wav", "No such file"):
        load_audio(tmp_path / "a.wav")


def test_folder(tmp_path):
    with refused(tmp_path, "is not a file"):
        load_audio(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with refused(tmp_path / "pipe.wav", "is not a file"):
        load_audio(tmp_path / "pipe.wav")


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX permissions")
def test_no_permission(folder, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes((folder / "a.wav").read_bytes())
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)
    try:
        with refused(path, "Permission denied"):
            load_audio(path)
    finally:
        os.seteuid(user)


def test_empty(tmp_path):
    (tmp_path / "a.mp3").touch()
    with refused(tmp_path / "a.mp3", "is empty"):
        load_audio(tmp_path / "a.mp3")


def png():
    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(9 * 8)))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


NOT_AUDIO = {
    "text": b"Not a note in here.\n" * 200,
    "one byte": b"a",
    "png": png(),
    "random": np.random.default_rng(4).bytes(50_000),
}


@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".sln", ".m4a", ""])
@pytest.mark.parametrize("content", NOT_AUDIO)
def test_not_audio(tmp_path, content, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(NOT_AUDIO[content])
    with refused(path, "cannot be decoded|has no audio stream"):
        load_audio(path)


def test_jpeg(tmp_path):
    with av.open(str(tmp_path / "a.jpg"), "w", format="image2") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with refused(tmp_path / "a.jpg", "has no audio stream"):
        load_audio(tmp_path / "a.jpg")


PLAYLISTS = {
    "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nvideo.mp4\n",
    "a.txt": "ffconcat version 1.0\nfile video.mp4\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_playlist_is_not_followed(folder, monkeypatch, name):
    # FFmpeg would play the file that it names, or fetch it where it is an address.
    monkeypatch.chdir(folder)
    Path(name).write_text(PLAYLISTS[name])
    with refused(name, "cannot be decoded"):
        load_audio(name)


def test_video_without_sound(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with refused(tmp_path / "a.mp4", "has no audio stream"):
        load_audio(tmp_path / "a.mp4")


def test_no_samples(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((0, 2)), RATE)
    with refused(tmp_path / "a.wav", "without any samples"):
        load_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("offset", "size"), [(10, 2), (12, 4)], ids=["channels", "rate"]
)
def test_header_with_zero(folder, tmp_path, offset, size):
    wav = bytearray((folder / "a.wav").read_bytes())
    start = wav.index(b"fmt ") + offset
    wav[start : start + size] = bytes(size)
    (tmp_path / "a.wav").write_bytes(wav)
    with refused(tmp_path / "a.wav", "is damaged|cannot be decoded"):
        load_audio(tmp_path / "a.wav")


def test_absurd_sample_rate(tmp_path, source):
    soundfile.write(tmp_path / "a.wav", source, 1)
    with refused(tmp_path / "a.wav", "sample rate of 1 Hz"):
        load_audio(tmp_path / "a.wav")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, [np.inf, -np.inf], 3e38])
@pytest.mark.parametrize("position", [0, 12_345, -1])
def test_not_finite(tmp_path, source, value, position):
    samples = source.copy()
    samples[position] = value
    soundfile.write(tmp_path / "a.wav", samples, RATE, "FLOAT")
    with refused(tmp_path / "a.wav", "not finite"):
        load_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("value", [1e13, 1e22, -1e30])
def test_far_too_large(tmp_path, source, value):
    samples = source.copy()
    samples[12_345] = value
    soundfile.write(tmp_path / "a.wav", samples, RATE, "FLOAT")
    with refused(tmp_path / "a.wav", "has a sample of"):
        load_audio(tmp_path / "a.wav")
    with refused("query", "has a sample of"):
        check_waveform(samples[:, 0], "query")


def test_far_too_large_in_channels_that_cancel(tmp_path, source):
    samples = source.copy()
    samples[12_345] = 1e30, -1e30
    soundfile.write(tmp_path / "a.wav", samples, RATE, "FLOAT")
    with refused(tmp_path / "a.wav", "has a sample of"):
        load_audio(tmp_path / "a.wav")


def test_samples_that_were_never_scaled_are_read(tmp_path, source):
    soundfile.write(tmp_path / "a.wav", source * 2**31, RATE, "FLOAT")
    assert np.abs(load_audio(tmp_path / "a.wav")).max() > 2**28


@pytest.mark.parametrize("peak", [0, 0.9e-4])
def test_silence(tmp_path, peak):
    tone = peak * np.sin(np.arange(2 * RATE) / 10)
    soundfile.write(tmp_path / "a.wav", tone, RATE, "FLOAT")
    with refused(tmp_path / "a.wav", "is silent.*meaningless"):
        load_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(("hum", "offset"), [(0, 0), (0.002, 0), (0.1, 0), (0, 0.3)])
def test_channels_that_cancel_do_not_silence_the_music(tmp_path, source, hum, offset):
    mono = source[:, 0]
    noise = offset + hum * np.sin(2 * np.pi * 50 * np.arange(len(mono)) / RATE)
    opposed = np.stack([mono + noise, noise - mono], axis=1)
    soundfile.write(tmp_path / "opposed.wav", opposed, RATE, "FLOAT")
    soundfile.write(tmp_path / "mono.wav", mono, RATE, "FLOAT")
    found = load_audio(tmp_path / "opposed.wav")
    expected = load_audio(tmp_path / "mono.wav")
    # Without the hum; of either sign, which no transform of magnitudes hears.
    found, expected = np.diff(found), np.diff(expected)
    cosine = found @ expected / np.linalg.norm(found) / np.linalg.norm(expected)
    assert abs(cosine) > 0.95


def test_the_default_stream_is_decoded(tmp_path, source):
    other = np.random.default_rng(0).uniform(-0.5, 0.5, source.shape)
    soundfile.write(tmp_path / "music.wav", source, RATE)
    soundfile.write(tmp_path / "other.wav", other, RATE)
    with av.open(str(tmp_path / "two.mka"), "w") as out:
        for name in ("other", "music"):
            with av.open(str(tmp_path / f"{name}.wav")) as file:
                stream = out.add_stream_from_template(file.streams.audio[0])
                stream.disposition = Disposition.default if name == "music" else 0
        for index, name in enumerate(("other", "music")):
            with av.open(str(tmp_path / f"{name}.wav")) as file:
                for packet in file.demux():
                    if packet.size:
                        packet.stream = out.streams[index]
                        out.mux(packet)
    expected = load_audio(tmp_path / "music.wav")
    np.testing.assert_allclose(load_audio(tmp_path / "two.mka"), expected, atol=1e-4)
    live = np.concatenate(list(iter_live(str(tmp_path / "two.mka"))))
    np.testing.assert_allclose(live, expected, atol=1e-4)


@pytest.mark.parametrize("size", range(3, 12))
def test_the_beginning_of_a_tag_is_no_recording(tmp_path, size):
    path = tmp_path / "a.mp3"
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x00\x00\x00\x00"[:size])
    with pytest.raises(AudioError, match=r"a\.mp3"):
        load_audio(path)


def test_quiet_music_is_not_silence(tmp_path):
    tone = 2e-4 * np.sin(np.arange(2 * RATE) / 10)
    soundfile.write(tmp_path / "a.wav", tone, RATE, "FLOAT")
    assert np.abs(load_audio(tmp_path / "a.wav")).max() == pytest.approx(2e-4, rel=0.1)


# --- waveforms given as arrays ---------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_good_waveform_passes(dtype):
    check_waveform(np.sin(np.arange(1000)).astype(dtype), "query")


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.ones((2, 1000)), r"1-D.*shape \(2, 1000\)"),
        (np.ones(1000, np.int16), "floating-point.*int16"),
        (np.ones(0), "without any samples"),
        (np.append(np.ones(1000), np.nan), "not finite"),
        (np.append(np.ones(1000), -np.inf), "not finite"),
        (np.zeros(1000), "is silent"),
    ],
)
def test_bad_waveform_is_refused(samples, reason):
    with refused("query 7", reason):
        check_waveform(samples, "query 7")
