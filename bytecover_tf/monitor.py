"""Follow a stream, a microphone or a file that grows, and tell when the song changes.

Each change is a line of JSON, {"time", "start", "at", "work", "probability",
"recording", ...}. `start` is the second of the stream at which the song began, and `at`
how many seconds had been heard when the line was printed. `work` is null while nothing
of the catalogue is played. A source that breaks is opened again. Ctrl-C ends the
command.

Examples:
  python -m bytecover_tf.monitor --catalogue music.catalogue http://radio.example/live
  python -m bytecover_tf.monitor --catalogue music.catalogue --format alsa default
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from bytecover_tf import cli
from bytecover_tf.cli.monitor_options import monitor_parser
from bytecover_tf.cli.webhook import tell


def main(arguments: Sequence[str] | None = None) -> int:
    """Follow a stream; return the exit status."""
    options = monitor_parser(__doc__).parse_args(arguments)

    from bytecover_tf.audio.live import iter_live
    from bytecover_tf.catalogues.opening import open_with_encoder
    from bytecover_tf.matching.calibration import calibration_for
    from bytecover_tf.matching.monitoring import changes

    catalogue, encoder = open_with_encoder(
        options.catalogue, options.encoder, cli.hearing_of(options.hearing)
    )
    with catalogue:
        calibration = calibration_for(
            catalogue.identity, options.calibration, options.encoder
        )
        blocks = iter_live(
            options.source,
            encoder.frontend.sample_rate,
            options.format,
            options.follow,
            options.attempts,
            cli.warn,
        )
        with closing(blocks):
            found = changes(
                catalogue, encoder, blocks, calibration, workers=options.workers
            )
            failed = tell((change.to_dict() for change in found), options.webhook)
    return cli.SOME_FAILED if failed else cli.OK


if __name__ == "__main__":
    cli.run(main)
