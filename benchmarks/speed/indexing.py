"""What does indexing a file cost, stage by stage and beside FFmpeg?

    python -m benchmarks.speed.indexing [--recording FILE] [--write]

Takes the processor time of decoding, of both transforms, of hearing notes and of chroma
for 128 seconds of a recording, by default the tunes that come with the package, in five
formats; and that of `ffmpeg -i FILE -f null -`, which does nothing but decode. The
stages follow one another in turns, and the least of each counts, as other work on the
machine only adds to it. Writes nothing unless told to.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.common.report import command_of, table, write_section
from bytecover_tf.audio.constant_q import Signal, magnitudes
from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.estimated_means import estimated_means
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.audio.streaming import Average, StreamedTransform, mean_blocks
from bytecover_tf.data.tunes import audio_files

SECONDS = 128
FORMATS = {
    "mp3": ("-ar", "44100", "-c:a", "libmp3lame", "-b:a", "192k"),
    "m4a": ("-ar", "44100", "-c:a", "aac", "-b:a", "160k"),
    "ogg": ("-ar", "44100", "-c:a", "libvorbis", "-b:a", "160k"),
    "opus": ("-ar", "48000", "-c:a", "libopus", "-b:a", "128k"),
    "flac": ("-ar", "44100", "-sample_fmt", "s16"),
}
# Samples that arrive together, as when a file is decoded.
BLOCK = 2**15
FRONTEND = Frontend()

Stage = Callable[[], object]


def make_files(recording: Path | None, folder: Path) -> dict[str, Path]:
    """Return 128 s of a recording in each format, made by ffmpeg in a folder."""
    if recording is None:
        source = folder / "tunes.txt"
        lines = (f"file '{path}'\n" for path in audio_files())
        source.write_text("".join(lines))
        given = ["-f", "concat", "-safe", "0", "-i", str(source)]
    else:
        given = ["-stream_loop", "-1", "-i", str(recording)]
    files = {}
    for suffix, options in FORMATS.items():
        files[suffix] = folder / f"made.{suffix}"
        command = ["ffmpeg", "-v", "error", *given, "-t", str(SECONDS), "-vn"]
        command += ["-ac", "2", "-map_metadata", "-1", *options, str(files[suffix])]
        subprocess.run(command, check=True)
    return files


def by_ffmpeg(path: Path) -> None:
    command = ["ffmpeg", "-v", "error", "-threads", "1", "-i", str(path)]
    # It remarks on time stamps that it rounds itself.
    subprocess.run([*command, "-f", "null", "-"], check=True, capture_output=True)


def averages(samples: np.ndarray, *wanted: Average) -> tuple[np.ndarray, ...]:
    stream = StreamedTransform(*wanted)
    for start in range(0, len(samples), BLOCK):
        stream.add(samples[start : start + BLOCK])
    return stream.finish()


def stages_of_files(files: dict[str, Path]) -> dict[str, Stage]:
    """Return what is done with each file, by `format what`."""
    stages: dict[str, Stage] = {}
    for suffix, path in files.items():
        stages[f"{suffix} ffmpeg"] = partial(by_ffmpeg, path)
        stages[f"{suffix} decoding"] = partial(load_audio, path)
        for name, hearing in (("all", DEFAULT_HEARING), ("unheard", None)):
            extract = partial(FRONTEND.extract_with_chroma, path, hearing)
            stages[f"{suffix} {name}"] = extract
    return stages


def stages_of_samples(samples: np.ndarray) -> dict[str, Stage]:
    """Return what is done with decoded samples, each with what it needs beforehand."""
    features, fine = Average(FRONTEND, FRONTEND.pool), DEFAULT_HEARING.average
    every = Average(fine.transform, fine.size)
    _, means = averages(samples, features, fine)
    return {
        "12 bins": lambda: averages(samples, features),
        "both": lambda: averages(samples, features, fine),
        "every": lambda: averages(samples, features, every),
        "hear": lambda: DEFAULT_HEARING.hear(means),
        "chroma": lambda: DEFAULT_HEARING.chroma(means),
    }


def least_seconds(stages: dict[str, Stage], rounds: int) -> dict[str, float]:
    """Return the least processor seconds of each stage, taken in turns."""
    least = dict.fromkeys(stages, float("inf"))
    for _ in range(rounds):
        for name, stage in stages.items():
            spent = -_processor()
            stage()
            least[name] = min(least[name], spent + _processor())
    return least


def stage_rows(spent: dict[str, float]) -> list[list[str]]:
    """Return the rows of an mp3's stages, as seconds and in ffmpeg's time."""
    stages = {
        "ffmpeg, to nothing": spent["mp3 ffmpeg"],
        "decoding and resampling": spent["mp3 decoding"],
        "transform for the embedding, 12 bins": spent["12 bins"],
        "transform for hearing, 36 bins, estimated": spent["both"] - spent["12 bins"],
        "notes": spent["hear"],
        "chroma": spent["chroma"] - spent["hear"],
        "all": spent["mp3 all"],
        "all, `--hearing none`": spent["mp3 unheard"],
        "instead of the estimate: every frame": spent["every"] - spent["12 bins"],
    }
    return [
        [name, f"{seconds:.3f}", f"{seconds / spent['mp3 ffmpeg']:.2f}"]
        for name, seconds in stages.items()
    ]


def format_rows(spent: dict[str, float]) -> list[list[str]]:
    rows = []
    for suffix in FORMATS:
        ffmpeg, decoding, whole = (
            spent[f"{suffix} {what}"] for what in ("ffmpeg", "decoding", "all")
        )
        seconds = [f"{value:.3f}" for value in (ffmpeg, decoding, whole)]
        ratios = [f"{value / ffmpeg:.2f}" for value in (decoding, whole)]
        rows.append([suffix, *seconds, *ratios])
    return rows


def error_rows(samples: np.ndarray) -> list[list[str]]:
    """Return by octave how far the estimate is from the mean over all frames."""
    fine, signal = DEFAULT_HEARING.average, Signal(samples)
    found = estimated_means(signal, fine.transform, fine.size)
    expected = mean_blocks(magnitudes(signal, fine.transform), fine.size)
    rows = []
    for start in range(0, fine.transform.n_bins, fine.transform.bins_per_octave):
        octave = slice(start, start + fine.transform.bins_per_octave)
        heard = expected[octave] > 1e-3 * expected.max()
        error = np.abs(found - expected)[octave]
        relative = error[heard] / expected[octave][heard]
        lowest = fine.transform.frequencies[start]
        mean = f"{relative.mean():.2%}" if heard.any() else "-"
        weighted = f"{error.sum() / expected[octave].sum():.2%}"
        rows.append([f"{lowest:.0f} Hz", mean, weighted])
    return rows


def _processor() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + usage.ru_utime + usage.ru_stime


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.indexing", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--recording", type=Path, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=7, help="times of each stage")
    parser.add_argument(
        "--write", action="store_true", help="write the tables into the results"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        files = make_files(options.recording, Path(folder))
        samples = load_audio(files["mp3"])
        stages = stages_of_files(files) | stages_of_samples(samples)
        spent = least_seconds(stages, options.rounds)
    body = (
        f"Processor seconds for {SECONDS} s of stereo music, the least of "
        f"{options.rounds} rounds in turns. An mp3 of 192 kbit/s by stages; what comes "
        "after decoding does not depend on the format:\n\n"
        + table(["stage", "seconds", "ffmpeg = 1"], stage_rows(spent))
        + "\n\nOther formats:\n\n"
        + table(
            [
                *("", "ffmpeg, to nothing", "decoding and resampling", "all"),
                *("decoding, ffmpeg = 1", "all, ffmpeg = 1"),
            ],
            format_rows(spent),
        )
        + "\n\nHow far the estimate is from the mean over every frame, by the "
        "octave's lowest bin: the mean relative difference of values within 60 dB of "
        "the maximum, and the sum of differences over the sum of values. Most of the "
        "first comes from librosa's sparsity, which adds to quiet bins and which the "
        "estimate leaves out:\n\n"
        + table(["octave", "mean", "of the sum"], error_rows(samples))
    )
    print(body)
    if options.write:
        write_section(
            "audio",
            "Indexing a file",
            command_of("speed.indexing", parser, options),
            body,
        )


if __name__ == "__main__":
    main()
